#include "ops/torch/memory.h"

#include <c10/core/Allocator.h>
#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace volant::torch_ops {
namespace {

inline constexpr size_t kSmall = 4096;  // below: a multiple of this is not worth a page
inline constexpr size_t kHuge = 2UL << 20;
inline constexpr size_t kMaxKeptBytes = 16UL << 30;  // of free blocks; more goes back to the system

size_t rounded(size_t bytes) {
  const size_t unit = bytes >= kHuge ? kHuge / 4 : kSmall;
  return (bytes + unit - 1) / unit * unit;
}

class BlockCache final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) const override {
    void* block = bytes == 0 ? nullptr : self().take(rounded(bytes));
    // The context says the size, so that the deleter knows which list to give the block back to.
    auto* header = block == nullptr ? nullptr : new Block{block, rounded(bytes)};
    return {block, header, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }

  static BlockCache& instance() {
    static auto* cache = new BlockCache;  // outlives every tensor
    return *cache;
  }

 private:
  struct Block {
    void* data;
    size_t bytes;
  };

  BlockCache& self() const { return const_cast<BlockCache&>(*this); }

  void* take(size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      auto& list = free_[bytes];
      if (!list.empty()) {
        void* block = list.back();
        list.pop_back();
        kept_ -= bytes;
        return block;
      }
    }
    void* block = nullptr;
    if (posix_memalign(&block, bytes >= kHuge ? kHuge : 64, bytes) != 0) throw std::bad_alloc();
    if (bytes >= kHuge) ::madvise(block, bytes, MADV_HUGEPAGE);
    return block;
  }

  static void give_back(void* context) {
    auto* block = static_cast<Block*>(context);
    if (block == nullptr) return;
    instance().keep(*block);
    delete block;
  }
  void keep(const Block& block) {
    const std::lock_guard lock(mutex_);
    if (kept_ + block.bytes > kMaxKeptBytes) return std::free(block.data);
    free_[block.bytes].push_back(block.data);
    kept_ += block.bytes;
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  size_t kept_ = 0;
};

}  // namespace

void use_block_cache() { c10::SetAllocator(c10::DeviceType::CPU, &BlockCache::instance(), 1); }

}  // namespace volant::torch_ops
