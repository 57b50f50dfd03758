// Attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): blocks of 64 positions,
// counted from position 0, so that a row gives the same bits however the prompt was cut; a block that a row
// does not see changes nothing for it. Rows that share a key/value head go through a block together.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/kernels.h"
#include "kernels/simd/exp.h"
#include "kernels/simd/tiles.h"

namespace volant::simd {

inline constexpr int64_t kBlock = 64;  // positions

template <class S, int M>
struct AttentionTile {
  using V = typename S::V;
  // Panels of keys, and vectors of columns, at once:
  // few query vectors need several to keep the multipliers busy.
  static constexpr int kCells = S::kMaxAccumulators * 2 / 3 / M / kVectors<S>;
  static constexpr int kWide = kCells >= 4 ? 4 : kCells >= 2 ? 2 : 1;
  // `first_query` counts the n_rows * n_group query vectors.
  AttentionTile(const AttentionArgs& all_args, int64_t first_query) : args(all_args), first(first_query) {}

  const AttentionArgs& args;
  int64_t first;
  const float* q[M];
  int64_t first_seen[M], last_seen[M];  // positions
  float largest[M], total[M], rescale[M];
  alignas(64) float weights[M][kBlock];
  alignas(64) float mean[M][kMaxHeadDim];

  void run() {
    int64_t first_pos = std::numeric_limits<int64_t>::max(), last_pos = 0;
    for (int m = 0; m < M; ++m) {
      const int64_t row = (first + m) / args.n_group, head = (first + m) % args.n_group;
      q[m] = args.q + row * args.q_stride + head * args.head_dim;
      const int64_t pos = args.first_pos + row;
      first_seen[m] = args.window > 0 ? std::max<int64_t>(0, pos + 1 - args.window) : 0;
      last_seen[m] = args.n_pos > 0 ? args.n_pos - 1 : pos;
      largest[m] = -std::numeric_limits<float>::infinity();
      total[m] = 0;
      for (int64_t i = 0; i < args.value_stride; ++i) mean[m][i] = 0;
      first_pos = std::min(first_pos, first_seen[m]);
      last_pos = std::max(last_pos, last_seen[m]);
    }
    for (int64_t block = first_pos / kBlock * kBlock; block <= last_pos; block += kBlock) {
      const int64_t n = std::min(kBlock, last_pos + 1 - block);
      score(block, n);
      for (int m = 0; m < M; ++m) soften(m, n);
      add_values(block, n);
    }
    for (int m = 0; m < M; ++m) {
      const int64_t row = (first + m) / args.n_group, head = (first + m) % args.n_group;
      float* out = args.out + row * args.out_stride + head * args.head_dim;
      for (int64_t i = 0; i < args.head_dim; ++i) out[i] = mean[m][i] / total[m];
    }
  }

  // weights = q k^T * scale; -inf for positions that a row must not see.
  void score(int64_t block, int64_t n) { score_from<kWide>(block, 0, (n + kPanel - 1) / kPanel); }

  template <int P>
  void score_from(int64_t block, int64_t p, int64_t n_panel) {
    for (; n_panel >= P; p += P * kPanel, n_panel -= P) score_panels<P>(block, p);
    if constexpr (P > 1) score_from<P / 2>(block, p, n_panel);
  }

  template <int P>
  void score_panels(int64_t block, int64_t p) {
    constexpr int kN = P * kVectors<S>;
    const float* keys = args.keys + (block + p) * args.head_dim;
    V sums[M][kN];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
    }
    for (int64_t i = 0; i < args.head_dim; ++i) {
      V key[kN];
#pragma GCC unroll 16
      for (int j = 0; j < kN; ++j) {
        key[j] = S::load(keys + ((j / kVectors<S>)*args.head_dim + i) * kPanel + j % kVectors<S> * S::kLanes);
      }
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const V value = S::set1(q[m][i]);
#pragma GCC unroll 16
        for (int j = 0; j < kN; ++j) sums[m][j] = S::fma(value, key[j], sums[m][j]);
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int j = 0; j < kN; ++j) {
        V scaled = S::mul(sums[m][j], S::set1(args.scale));
        if (args.softcap > 0)
          scaled = S::mul(S::set1(args.softcap), tanh<S>(S::mul(scaled, S::set1(1.0F / args.softcap))));
        S::store(weights[m] + p + j * S::kLanes, scaled);
      }
      const int64_t from = first_seen[m] - block - p;
      for (int64_t k = 0; k < std::min(from, P * kPanel); ++k)
        weights[m][p + k] = -std::numeric_limits<float>::infinity();
      for (int64_t k = std::max<int64_t>(0, last_seen[m] + 1 - block - p); k < P * kPanel; ++k)
        weights[m][p + k] = -std::numeric_limits<float>::infinity();
    }
  }

  // weights = exp(weights - largest so far); what was summed before shrinks by `rescale`.
  void soften(int m, int64_t n) {
    const int64_t end = (n + kPanel - 1) / kPanel * kPanel;  // what is past n is -inf
    V best = S::set1(largest[m]);
    for (int64_t i = 0; i < end; i += S::kLanes) best = S::max(S::load(weights[m] + i), best);
    const float now = S::largest(best);
    if (now == -std::numeric_limits<float>::infinity()) {  // a window that starts after this block
      rescale[m] = 1;
      for (int64_t i = 0; i < end; ++i) weights[m][i] = 0;
      return;
    }
    rescale[m] = std::exp(largest[m] - now);
    largest[m] = now;
    V lanes = S::zero();
    for (int64_t i = 0; i < end; i += S::kLanes) {
      const V value = exp<S>(S::sub(S::load(weights[m] + i), S::set1(now)));
      S::store(weights[m] + i, value);
      lanes = S::add(lanes, value);
    }
    total[m] = total[m] * rescale[m] + S::sum(lanes);
  }

  void add_values(int64_t block, int64_t n) { add_from<kWide>(block, n, 0, args.value_stride / S::kLanes); }

  template <int C>
  void add_from(int64_t block, int64_t n, int64_t i, int64_t n_vector) {
    for (; n_vector >= C; i += C * S::kLanes, n_vector -= C) add_columns<C>(block, n, i);
    if constexpr (C > 1) add_from<C - 1>(block, n, i, n_vector);
  }

  // mean = mean * rescale + weights * values, of the C vectors of columns from i.
  template <int C>
  void add_columns(int64_t block, int64_t n, int64_t i) {
    const float* values = args.values + block * args.value_stride + i;
    V sums[M][C];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
        sums[m][c] = S::mul(S::load(mean[m] + i + c * S::kLanes), S::set1(rescale[m]));
    }
    for (int64_t p = 0; p < n; ++p) {
      V value[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) value[c] = S::load(values + p * args.value_stride + c * S::kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const V weight = S::set1(weights[m][p]);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) sums[m][c] = S::fma(weight, value[c], sums[m][c]);
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) S::store(mean[m] + i + c * S::kLanes, sums[m][c]);
    }
  }
};

template <class S, int M>
inline void attention_rows(const AttentionArgs& args, int64_t n, int64_t first) {
  if (n == M) {
    AttentionTile<S, M> tile(args, first);
    tile.run();
  } else if constexpr (M > 1) {
    attention_rows<S, M - 1>(args, n, first);
  }
}

template <class S>
void attention(const AttentionArgs& args) {
  constexpr int kM = S::kMaxAccumulators / 3;  // 8 or 4 query vectors
  const int64_t n = args.n_rows * args.n_group;
  for (int64_t first = 0; first < n; first += kM) {
    attention_rows<S, kM>(args, std::min<int64_t>(kM, n - first), first);
  }
}

}  // namespace volant::simd
