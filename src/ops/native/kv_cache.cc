#include "ops/native/kv_cache.h"

#include <cstring>

#include "kernels/kernels.h"

namespace volant {
namespace {
int64_t round_up(int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }
}  // namespace

void KvHead::write(int64_t pos, const float* key, const float* value) const {
  float* panel = keys + pos / kPanel * kPanel * head_dim + pos % kPanel;
  for (int64_t i = 0; i < head_dim; ++i) panel[i * kPanel] = key[i];
  float* row = values + pos * value_stride;
  std::memcpy(row, value, static_cast<size_t>(head_dim) * sizeof(float));
  for (int64_t i = head_dim; i < value_stride; ++i) row[i] = 0;
}

int64_t KvCache::value_stride(int64_t head_dim) { return round_up(head_dim); }
int64_t KvCache::key_floats(int64_t n_pos, int64_t head_dim) { return round_up(n_pos) * head_dim; }
int64_t KvCache::value_floats(int64_t n_pos, int64_t head_dim) {
  return round_up(n_pos) * value_stride(head_dim);
}

Result<KvCache> KvCache::create(const KvShape& shape) {
  KvCache cache;
  cache.shape_ = shape;
  const int64_t per_head =
      key_floats(shape.n_ctx, shape.head_dim) + value_floats(shape.n_ctx, shape.head_dim);
  const auto bytes =
      static_cast<size_t>(shape.n_slot * shape.n_layer * shape.n_kv_head * per_head) * sizeof(float);
  cache.data_ = Pages(bytes);
  if (cache.data_.data() == nullptr) {
    return fail(ErrorCode::kLimit,
                "no memory for a key/value cache of {} MB: use fewer slots or a shorter context",
                bytes >> 20);
  }
  return cache;
}

KvHead KvCache::head(int64_t layer, int64_t slot, int64_t kv_head) const {
  const int64_t keys = key_floats(shape_.n_ctx, shape_.head_dim);
  const int64_t per_head = keys + value_floats(shape_.n_ctx, shape_.head_dim);
  float* data = reinterpret_cast<float*>(data_.data()) +
                ((slot * shape_.n_layer + layer) * shape_.n_kv_head + kv_head) * per_head;
  return {data, data + keys, shape_.head_dim, value_stride(shape_.head_dim)};
}

}  // namespace volant
