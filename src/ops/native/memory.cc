#include "ops/native/memory.h"

#include <sys/mman.h>

#include <bit>
#include <new>

namespace volant {

Pages::Pages(size_t bytes, bool big) {
  if (bytes == 0) return;
  void* data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return;
  if (big) madvise(data, bytes, MADV_HUGEPAGE);  // saves most of the address translation
  data_ = static_cast<std::byte*>(data);
  bytes_ = bytes;
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

void BufferPool::Free::operator()(std::byte* data) const { ::operator delete (data, std::align_val_t{64}); }

BufferPool::Buffer BufferPool::take(size_t bytes) {
  const auto size_class = static_cast<int>(std::bit_width(bytes < 256 ? size_t{255} : bytes - 1));
  std::vector<std::byte*>& free = free_[static_cast<size_t>(size_class)];
  if (free.empty()) {
    const size_t size = size_t{1} << size_class;
    auto* data = static_cast<std::byte*>(::operator new (size, std::align_val_t{64}));
    owned_.emplace_back(data);
    bytes_ += size;
    free.reserve(owned_.size());
    return {this, size_class, data};
  }
  std::byte* data = free.back();
  free.pop_back();
  return {this, size_class, data};
}

}  // namespace volant
