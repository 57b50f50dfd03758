// Softmax attention in the plain two passes: the largest score, then the weighted mean of the values.
#include <algorithm>
#include <cmath>

#include "kernels/generic/generic.h"

namespace volant::generic {
namespace {

float score(const AttentionArgs& args, const float* q, int64_t pos) {
  const float* key = args.keys + pos / kPanel * kPanel * args.head_dim + pos % kPanel;
  float sum = 0;
  for (int64_t i = 0; i < args.head_dim; ++i) sum += q[i] * key[i * kPanel];
  const float scaled = sum * args.scale;
  return args.softcap > 0 ? args.softcap * std::tanh(scaled / args.softcap) : scaled;
}

void attend(const AttentionArgs& args, const float* q, int64_t first_pos, int64_t last_pos, float* out) {
  float largest = score(args, q, first_pos);
  for (int64_t pos = first_pos + 1; pos <= last_pos; ++pos) largest = std::max(largest, score(args, q, pos));
  float total = 0;
  float mean[kMaxHeadDim] = {};
  for (int64_t pos = first_pos; pos <= last_pos; ++pos) {
    const float weight = std::exp(score(args, q, pos) - largest);
    total += weight;
    const float* value = args.values + pos * args.value_stride;
    for (int64_t i = 0; i < args.head_dim; ++i) mean[i] += weight * value[i];
  }
  for (int64_t i = 0; i < args.head_dim; ++i) out[i] = mean[i] / total;
}

}  // namespace

void attention(const AttentionArgs& args) {
  for (int64_t row = 0; row < args.n_rows; ++row) {
    const int64_t pos = args.first_pos + row;
    const int64_t first = args.window > 0 ? std::max<int64_t>(0, pos + 1 - args.window) : 0;
    const int64_t last = args.n_pos > 0 ? args.n_pos - 1 : pos;
    for (int64_t g = 0; g < args.n_group; ++g) {
      attend(args, args.q + row * args.q_stride + g * args.head_dim, first, last,
             args.out + row * args.out_stride + g * args.head_dim);
    }
  }
}

}  // namespace volant::generic
