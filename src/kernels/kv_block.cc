#include "kernels/kv_block.h"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.h"

namespace volant {
namespace {

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// `n` numbers to int8, number i at out[i * stride]; scales of each 32 at scales[0], scales[kKvBlock], ...
void quantize(const float* x, int64_t n, int8_t* out, int64_t stride, uint16_t* scales) {
  for (int64_t begin = 0; begin < n; begin += kKvScaleBlock, scales += kKvBlock) {
    const int64_t end = std::min(n, begin + kKvScaleBlock);
    float largest = 0;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(x[i]));
    // Beyond f16's largest number rows would become infinite: they are cut there.
    *scales = f32_to_f16(std::min(largest / 127, 65504.0F));
    const float scale = f16_to_f32(*scales), inverse = scale > 0 ? 1 / scale : 0;
    for (int64_t i = begin; i < end; ++i)
      out[i * stride] = static_cast<int8_t>(std::clamp(std::nearbyint(x[i] * inverse), -127.0F, 127.0F));
  }
}

// The same numbers in another size of element, number i at out[i * stride].
template <class T>
void scatter(const T* x, int64_t n, T* out, int64_t stride) {
  for (int64_t i = 0; i < n; ++i) out[i * stride] = x[i];
}

template <class T>
void write_numbers(const KvLayout& layout, std::byte* block, int64_t pos, const T* key, const T* value) {
  T* keys = reinterpret_cast<T*>(block);
  scatter(key, layout.head_dim, keys + pos / kPanel * kPanel * layout.head_dim + pos % kPanel, kPanel);
  T* row = reinterpret_cast<T*>(block + layout.values_at) + pos * layout.value_stride;
  std::copy_n(value, layout.head_dim, row);
  std::fill(row + layout.head_dim, row + layout.value_stride, T{});
}

}  // namespace

KvLayout KvLayout::of(DType type, int64_t head_dim) {
  const int64_t size = type == DType::kF32 ? 4 : type == DType::kF16 ? 2 : 1;
  const int64_t scales =
      type == DType::kQ8_0 ? round_up(head_dim, kKvScaleBlock) / kKvScaleBlock * kKvBlock * 2 : 0;
  KvLayout layout;
  layout.type = type;
  layout.head_dim = head_dim;
  layout.value_stride = round_up(head_dim, kPanel);
  layout.key_scales_at = kKvBlock * head_dim * size;
  layout.values_at = layout.key_scales_at + scales;
  layout.value_scales_at = layout.values_at + kKvBlock * layout.value_stride * size;
  layout.bytes = layout.value_scales_at + scales;
  return layout;
}

void KvLayout::write(std::byte* block, int64_t pos, const float* key, const float* value) const {
  if (type == DType::kF32) return write_numbers(*this, block, pos, key, value);
  if (type == DType::kF16) {
    uint16_t half_key[kMaxHeadDim], half_value[kMaxHeadDim];
    from_f32(DType::kF16, key, head_dim, half_key);
    from_f32(DType::kF16, value, head_dim, half_value);
    return write_numbers(*this, block, pos, half_key, half_value);
  }
  auto* keys = reinterpret_cast<int8_t*>(block);
  quantize(key, head_dim, keys + pos / kPanel * kPanel * head_dim + pos % kPanel, kPanel,
           reinterpret_cast<uint16_t*>(block + key_scales_at) + pos);
  int8_t* row = reinterpret_cast<int8_t*>(block + values_at) + pos * value_stride;
  quantize(value, head_dim, row, 1, reinterpret_cast<uint16_t*>(block + value_scales_at) + pos);
  std::fill(row + head_dim, row + value_stride, int8_t{0});
}

}  // namespace volant
