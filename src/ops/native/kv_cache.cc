#include "ops/native/kv_cache.h"

#include <cstring>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace volant {

static constexpr size_t kLargeFrom = size_t{8} << 20;  // bytes of a cache

Result<KvCache> KvCache::create(const KvShape& asked) {
  KvCache cache;
  KvShape& shape = cache.shape_;
  shape = asked;
  if (shape.n_page == 0) shape.n_page = shape.n_slot * shape.pages_of_slot();
  const auto bytes = static_cast<size_t>(shape.n_page * shape.page_bytes());
  // In large pages: they come in a hundredth of the time of small ones, and pages of the pool are taken one
  // after the other, so that hardly more memory becomes real.
  if (shape.n_page <= std::numeric_limits<int32_t>::max()) cache.data_ = Pages(bytes, bytes >= kLargeFrom);
  if (cache.data_.data() == nullptr) {
    return fail(ErrorCode::kLimit,
                "no memory for a key/value cache of {} MB: use fewer slots or a shorter context",
                bytes >> 20);
  }
  cache.layout_ = KvLayout::of(shape.type, shape.head_dim);
  cache.slot_pages_.resize(static_cast<size_t>(shape.n_slot * shape.pages_of_slot()));
  std::iota(cache.slot_pages_.begin(), cache.slot_pages_.end(), 0);
  return cache;
}

std::span<const int32_t> KvCache::pages_of(const Batch& batch, int64_t s) const {
  const auto i = static_cast<size_t>(s);
  if (!batch.kv_page_begin.empty()) {
    const auto begin = static_cast<size_t>(batch.kv_page_begin[i]);
    return batch.kv_pages.subspan(begin, static_cast<size_t>(batch.kv_page_begin[i + 1]) - begin);
  }
  const auto each = static_cast<size_t>(shape_.pages_of_slot());
  return std::span(slot_pages_).subspan(static_cast<size_t>(batch.kv_slot[i]) * each, each);
}

KvHead KvCache::head(int64_t layer, int64_t kv_head, std::span<const int32_t> pages) const {
  return {layout_, data_.data() + (layer * shape_.n_kv_head + kv_head) * layout_.bytes, shape_.page_bytes(),
          pages.data()};
}

void KvCache::copy_page(int32_t from, int32_t to) const {
  CHECK(from != to);
  const int64_t bytes = shape_.page_bytes();
  std::memcpy(data_.data() + to * bytes, data_.data() + from * bytes, static_cast<size_t>(bytes));
}

}  // namespace volant
