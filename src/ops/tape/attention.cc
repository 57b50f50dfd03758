// Attention on the tape: the probabilities are formed again on the way back, row by row.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/tape/tape_ops.h"

namespace volant {
namespace {

// One sequence's rows, and one query head on its key/value head.
struct Head {
  const float *q, *k, *v;  // of the first row of the sequence
  const float* dy;
  float *dq, *dk, *dv;  // null: not wanted
  int64_t q_stride, kv_stride, d;
};

// What query row `i` sees of `n` rows.
std::pair<int64_t, int64_t> seen(const AttentionSpec& spec, int64_t i, int64_t n) {
  if (!spec.causal) return {0, n};
  return {spec.window > 0 ? std::max<int64_t>(0, i + 1 - spec.window) : 0, i + 1};
}

double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += static_cast<double>(a[c]) * b[c];
  return sum;
}

void add_times(float* to, double factor, const float* from, int64_t n) {
  if (to == nullptr) return;
  for (int64_t c = 0; c < n; ++c) to[c] += static_cast<float>(factor * from[c]);
}

// p = softmax(s), y = p v:  dv += p dy,  dp = dy v,  ds = p (dp - sum p dp), through the cap where there is
// one, dq += scale ds k,  dk += scale ds q.
void go_back_row(const Head& head, const AttentionSpec& spec, int64_t i, int64_t n, std::vector<double>& p,
                 std::vector<double>& slope) {
  const auto [begin, end] = seen(spec, i, n);
  const float *q = head.q + i * head.q_stride, *dy = head.dy + i * head.q_stride;
  double largest = -INFINITY, total = 0, mean = 0;
  for (int64_t j = begin; j < end; ++j) {
    double s = spec.scale * dot(q, head.k + j * head.kv_stride, head.d);
    slope[static_cast<size_t>(j)] = 1;
    if (spec.softcap > 0) {
      const double t = std::tanh(s / spec.softcap);
      slope[static_cast<size_t>(j)] = 1 - t * t;
      s = spec.softcap * t;
    }
    p[static_cast<size_t>(j)] = s;
    largest = std::max(largest, s);
  }
  for (int64_t j = begin; j < end; ++j)
    total += p[static_cast<size_t>(j)] = std::exp(p[static_cast<size_t>(j)] - largest);
  std::vector<double> dp(static_cast<size_t>(end - begin));
  for (int64_t j = begin; j < end; ++j) {
    p[static_cast<size_t>(j)] /= total;
    dp[static_cast<size_t>(j - begin)] = dot(dy, head.v + j * head.kv_stride, head.d);
    mean += p[static_cast<size_t>(j)] * dp[static_cast<size_t>(j - begin)];
    if (head.dv != nullptr) add_times(head.dv + j * head.kv_stride, p[static_cast<size_t>(j)], dy, head.d);
  }
  for (int64_t j = begin; j < end; ++j) {
    const double ds = p[static_cast<size_t>(j)] * (dp[static_cast<size_t>(j - begin)] - mean) *
                      slope[static_cast<size_t>(j)] * spec.scale;
    if (head.dq != nullptr) add_times(head.dq + i * head.q_stride, ds, head.k + j * head.kv_stride, head.d);
    if (head.dk != nullptr) add_times(head.dk + j * head.kv_stride, ds, q, head.d);
  }
}

}  // namespace

TapeOps::Act TapeOps::attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                const AttentionSpec& spec) {
  CHECK(!batch.cached());
  Act y = record(native_.attention(q.node->value, k.node->value, v.node->value, batch, spec), {&q, &k, &v});
  y.node->backward = [q, k, v, spec,
                      begins = std::vector<int32_t>(batch.seq_begin.begin(), batch.seq_begin.end()),
                      node = y.node.get()] {
    float *dq = gradient_of(q), *dk = gradient_of(k), *dv = gradient_of(v);
    const int64_t group = spec.n_head / spec.n_kv_head, d = spec.head_dim;
    for (size_t s = 0; s + 1 < begins.size(); ++s) {
      const int64_t first = begins[s], n = begins[s + 1] - first;
      std::vector<double> p(static_cast<size_t>(n)), slope(static_cast<size_t>(n));
      for (int64_t h = 0; h < spec.n_head; ++h) {
        const int64_t q_at = first * q.columns() + h * d, kv_at = first * k.columns() + h / group * d;
        const Head head{.q = q.node->value.row(0) + q_at,
                        .k = k.node->value.row(0) + kv_at,
                        .v = v.node->value.row(0) + kv_at,
                        .dy = node->gradient.data() + q_at,
                        .dq = dq == nullptr ? nullptr : dq + q_at,
                        .dk = dk == nullptr ? nullptr : dk + kv_at,
                        .dv = dv == nullptr ? nullptr : dv + kv_at,
                        .q_stride = q.columns(),
                        .kv_stride = k.columns(),
                        .d = d};
        for (int64_t i = 0; i < n; ++i) go_back_row(head, spec, i, n, p, slope);
      }
    }
  };
  return y;
}

}  // namespace volant
