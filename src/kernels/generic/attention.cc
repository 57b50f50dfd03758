// Softmax attention in the plain two passes: the largest score, then the weighted mean of the values.
#include <algorithm>
#include <cmath>

#include "kernels/generic/generic.h"

namespace volant::generic {
namespace {

// Number i of the key or of the value at a position.
float number_at(const AttentionArgs& args, int64_t pos, int64_t i, bool key) {
  const KvLayout& kv = args.kv;
  const std::byte* block = args.block(pos / kKvBlock * kKvBlock);
  const int64_t p = pos % kKvBlock;
  const int64_t at = key ? (p / kPanel * kv.head_dim + i) * kPanel + p % kPanel : p * kv.value_stride + i;
  const std::byte* numbers = block + (key ? 0 : kv.values_at);
  if (kv.type == DType::kF32) return reinterpret_cast<const float*>(numbers)[at];
  if (kv.type == DType::kF16) return f16_to_f32(reinterpret_cast<const uint16_t*>(numbers)[at]);
  const auto* scales =
      reinterpret_cast<const uint16_t*>(block + (key ? kv.key_scales_at : kv.value_scales_at));
  return static_cast<float>(reinterpret_cast<const int8_t*>(numbers)[at]) *
         f16_to_f32(scales[i / kKvScaleBlock * kKvBlock + p]);
}

float score(const AttentionArgs& args, const float* q, int64_t pos) {
  float sum = 0;
  for (int64_t i = 0; i < args.kv.head_dim; ++i) sum += q[i] * number_at(args, pos, i, true);
  const float scaled = sum * args.scale;
  return args.softcap > 0 ? args.softcap * std::tanh(scaled / args.softcap) : scaled;
}

void attend(const AttentionArgs& args, const float* q, int64_t first_pos, int64_t last_pos, float* out) {
  const int64_t d = args.kv.head_dim;
  float largest = score(args, q, first_pos);
  for (int64_t pos = first_pos + 1; pos <= last_pos; ++pos) largest = std::max(largest, score(args, q, pos));
  float total = 0;
  float mean[kMaxHeadDim] = {};
  for (int64_t pos = first_pos; pos <= last_pos; ++pos) {
    const float weight = std::exp(score(args, q, pos) - largest);
    total += weight;
    for (int64_t i = 0; i < d; ++i) mean[i] += weight * number_at(args, pos, i, false);
  }
  for (int64_t i = 0; i < d; ++i) out[i] = mean[i] / total;
}

}  // namespace

void attention(const AttentionArgs& args) {
  for (int64_t row = 0; row < args.n_rows; ++row) {
    const int64_t pos = args.first_pos + row;
    const int64_t first = args.window > 0 ? std::max<int64_t>(0, pos + 1 - args.window) : 0;
    const int64_t last = args.n_pos > 0 ? args.n_pos - 1 : pos;
    for (int64_t g = 0; g < args.n_group; ++g) {
      attend(args, args.q + row * args.q_stride + g * args.kv.head_dim, first, last,
             args.out + row * args.out_stride + g * args.kv.head_dim);
    }
  }
}

}  // namespace volant::generic
