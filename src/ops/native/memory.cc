#include "ops/native/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

namespace volant {

namespace {
constexpr size_t kLargePage = size_t{2} << 20;
}

Pages::Pages(size_t bytes, bool big) {
  if (bytes == 0) return;
  const size_t mapped_bytes = bytes + (big ? kLargePage : 0);
  void* mapped =
      mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return;
  mapped_ = mapped;
  mapped_bytes_ = mapped_bytes;
  data_ = static_cast<std::byte*>(mapped);
  bytes_ = bytes;
  if (!big) return;
  data_ += -reinterpret_cast<uintptr_t>(mapped) % kLargePage;
  madvise(mapped, mapped_bytes, MADV_HUGEPAGE);
}

Pages::~Pages() {
  if (mapped_ != nullptr) munmap(mapped_, mapped_bytes_);
}

Shelf::Piece Shelf::take(size_t bytes) {
  if (region_ == nullptr || region_->bytes() - used_ < bytes) {
    Pages pages(std::max(kRegion, (bytes + kLargePage - 1) / kLargePage * kLargePage), true);
    if (pages.data() == nullptr) return {};
    region_ = std::make_shared<const Pages>(std::move(pages));
    used_ = 0;
  }
  Piece piece(region_, region_->data() + used_, bytes);
  used_ = std::min(region_->bytes(), (used_ + bytes + 63) / 64 * 64);
  return piece;
}

Shelf::Piece Shelf::alone(size_t bytes) {
  Pages pages(bytes, bytes >= kLargePage);
  if (pages.data() == nullptr) return {};
  std::byte* data = pages.data();
  return {std::make_shared<const Pages>(std::move(pages)), data, bytes};
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

void BufferPool::release() {
  holds_ = false;
  for (const Held& each : held_) give_back(each.size_class, each.data);
  held_.clear();
}

}  // namespace volant
