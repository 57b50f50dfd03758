#include "ops/torch/memory.h"

#include <c10/core/Allocator.h>
#include <sys/mman.h>
#include <torch/csrc/api/include/torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace volant::torch_ops {
namespace {

inline constexpr size_t kSmall = 4096;  // below: a multiple of this is not worth a page
inline constexpr size_t kHuge = 2UL << 20;
inline constexpr size_t kHeader = 64;  // before the data of a block: its size, for the list it goes back to
inline constexpr size_t kMaxKeptBytes = 16UL << 30;  // of free blocks; more goes back to the system

size_t rounded(size_t bytes) {
  const size_t unit = bytes >= kHuge ? kHuge / 4 : kSmall;
  return (bytes + unit - 1) / unit * unit;
}

class BlockCache final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR < 2
  c10::DataPtr allocate(size_t bytes) const override {
    return const_cast<BlockCache*>(this)->block_of(bytes);
  }
#else
  c10::DataPtr allocate(size_t bytes) override { return block_of(bytes); }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
#endif
  // Of those that ask for bare memory (libtorch's convolutions): the context is the data itself.
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  static BlockCache& instance() {
    static auto* cache = new BlockCache;  // outlives every tensor
    return *cache;
  }

 private:
  c10::DataPtr block_of(size_t bytes) {
    void* data = nullptr;
    if (bytes > 0) {
      const size_t size = rounded(bytes + kHeader);
      void* block = take(size);
      std::memcpy(block, &size, sizeof size);
      data = static_cast<char*>(block) + kHeader;
    }
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

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

  static void give_back(void* data) {
    if (data == nullptr) return;
    void* block = static_cast<char*>(data) - kHeader;
    size_t size = 0;
    std::memcpy(&size, block, sizeof size);
    instance().keep(block, size);
  }
  void keep(void* block, size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (kept_ + bytes > kMaxKeptBytes) return std::free(block);
    free_[bytes].push_back(block);
    kept_ += bytes;
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
  size_t kept_ = 0;
};

}  // namespace

Pages::Pages(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    throw std::bad_alloc();
  }
  if (bytes >= kHuge) ::madvise(data_, bytes, MADV_HUGEPAGE);
}
Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}
Pages::~Pages() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

void forget(float* begin, size_t count) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const auto last = reinterpret_cast<uintptr_t>(begin + count) / page * page;
  if (last <= first) return std::fill(begin, begin + count, 0.0F);
  std::fill(begin, reinterpret_cast<float*>(first), 0.0F);
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  std::fill(reinterpret_cast<float*>(last), begin + count, 0.0F);
}

void use_block_cache() { c10::SetAllocator(c10::DeviceType::CPU, &BlockCache::instance(), 1); }

}  // namespace volant::torch_ops
