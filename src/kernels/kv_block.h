// How the key/value cache stores one head's keys and values of 64 positions (a block): a page of the cache
// holds one block for each layer and head. Numbers are f32, f16, or int8 with an f16 scale for each 32 of a
// row (as q8_0). In a block, one after the other:
//   keys          [64 / 16, head_dim, 16]        panels of 16 positions
//   key scales    [ceil(head_dim / 32), 64]      int8 alone
//   values        [64, value_stride]             value_stride is head_dim rounded up to 16; the pad is zero
//   value scales  [ceil(head_dim / 32), 64]      int8 alone
// Knows nothing of pages and who holds them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace volant {

inline constexpr int64_t kKvBlock = 64;       // positions in a block
inline constexpr int64_t kKvScaleBlock = 32;  // numbers of a row that share a scale

struct KvLayout {
  DType type = DType::kF32;  // kF32, kF16 or kQ8_0
  int64_t head_dim = 0, value_stride = 0;
  int64_t key_scales_at = 0, values_at = 0, value_scales_at = 0;  // bytes from the begin of a block
  int64_t bytes = 0;                                              // of a block, a multiple of 64

  static KvLayout of(DType type, int64_t head_dim);
  // Puts one position's key and value (head_dim numbers each, at most kMaxHeadDim) into a block; `pos` counts
  // from the block's begin.
  void write(std::byte* block, int64_t pos, const float* key, const float* value) const;
};

}  // namespace volant
