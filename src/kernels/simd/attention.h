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

inline constexpr int64_t kBlock = kKvBlock;  // positions

// Vectors of the cache's numbers: f32, f16, and int8 that wait for their scale.
template <class S>
typename S::V load_kv(const float* p) {
  return S::load(p);
}
template <class S>
typename S::V load_kv(const uint16_t* p) {
  return S::load_f16(p);
}
template <class S>
typename S::V load_kv(const int8_t* p) {
  return S::to_float(S::load_int8(p));
}

// M query vectors over blocks of T: float, uint16_t (f16) or int8_t.
template <class S, int M, class T>
struct AttentionTile {
  static constexpr bool kScaled = sizeof(T) == 1;
  static constexpr int kVectorBytes = S::kLanes * static_cast<int>(sizeof(T));
  using V = typename S::V;
  // Panels of keys, and vectors of columns, at once:
  // few query vectors need several to keep the multipliers busy.
  static constexpr int kCells = S::kMaxAccumulators * 2 / 3 / M / kVectors<S>;
  static constexpr int kWide = kCells >= 4 ? 4 : kCells >= 2 ? 2 : 1;
  // Columns that are added together share their scales.
  static constexpr int kWideValues =
      kScaled ? std::min<int>(kWide, static_cast<int>(kKvScaleBlock) / S::kLanes) : kWide;
  // `first_query` counts the n_rows * n_group query vectors.
  AttentionTile(const AttentionArgs& all_args, int64_t first_query) : args(all_args), first(first_query) {}

  const AttentionArgs& args;
  int64_t first;
  const float* q[M];
  int64_t first_seen[M], last_seen[M];  // positions
  const std::byte* data = nullptr;      // the block under way
  // What is read after what is read now: values after keys, then the next block's keys. They come from far,
  // since weights passed through the caches, and in pieces too short for the processor to look ahead.
  const std::byte* ahead = nullptr;
  float largest[M], total[M], rescale[M];
  alignas(64) float weights[M][kBlock];
  alignas(64) float scaled[kScaled ? M : 1][kBlock];  // weights times the scales of the values
  alignas(64) float mean[M][kMaxHeadDim];

  void run() {
    int64_t first_pos = std::numeric_limits<int64_t>::max(), last_pos = 0;
    for (int m = 0; m < M; ++m) {
      const int64_t row = (first + m) / args.n_group, head = (first + m) % args.n_group;
      q[m] = args.q + row * args.q_stride + head * args.kv.head_dim;
      const int64_t pos = args.first_pos + row;
      first_seen[m] = args.window > 0 ? std::max<int64_t>(0, pos + 1 - args.window) : 0;
      last_seen[m] = args.n_pos > 0 ? args.n_pos - 1 : pos;
      largest[m] = -std::numeric_limits<float>::infinity();
      total[m] = 0;
      for (int64_t i = 0; i < args.kv.value_stride; ++i) mean[m][i] = 0;
      first_pos = std::min(first_pos, first_seen[m]);
      last_pos = std::max(last_pos, last_seen[m]);
    }
    for (int64_t block = first_pos / kBlock * kBlock; block <= last_pos; block += kBlock) {
      const int64_t n = std::min(kBlock, last_pos + 1 - block);
      data = args.block(block);
      ahead = data + args.kv.values_at;
      add_scores(block, n);
      for (int m = 0; m < M; ++m) soften(m, n);
      ahead = block + kBlock <= last_pos ? args.block(block + kBlock)
              : args.next != nullptr     ? args.next
                                         : data;
      add_values(n);
    }
    for (int m = 0; m < M; ++m) {
      const int64_t row = (first + m) / args.n_group, head = (first + m) % args.n_group;
      float* out = args.out + row * args.out_stride + head * args.kv.head_dim;
      for (int64_t i = 0; i < args.kv.head_dim; ++i) out[i] = mean[m][i] / total[m];
    }
  }

  template <int bytes>
  [[gnu::always_inline]] void ask() {
    ask_for<bytes>(ahead);
    ahead += bytes;
  }

  // weights = q k^T * scale; -inf for positions that a row must not see.
  void add_scores(int64_t block, int64_t n) { score_from<kWide>(block, 0, (n + kPanel - 1) / kPanel); }

  template <int P>
  void score_from(int64_t block, int64_t p, int64_t n_panel) {
    for (; n_panel >= P; p += P * kPanel, n_panel -= P) score_panels<P>(block, p);
    if constexpr (P > 1) score_from<P / 2>(block, p, n_panel);
  }

  template <int P>
  void score_panels(int64_t block, int64_t p) {
    constexpr int kN = P * kVectors<S>, kKeyBytes = kN * kVectorBytes;
    const int64_t d = args.kv.head_dim;
    const T* keys = reinterpret_cast<const T*>(data) + p * d;
    V sums[M][kN], scales[kN];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
    }
    for (int64_t first_dim = 0; first_dim < d; first_dim += kScaled ? kKvScaleBlock : d) {
      if constexpr (kScaled) {
        const uint16_t* from = reinterpret_cast<const uint16_t*>(data + args.kv.key_scales_at) +
                               first_dim / kKvScaleBlock * kKvBlock + p;
#pragma GCC unroll 16
        for (int j = 0; j < kN; ++j) scales[j] = S::load_f16(from + j * S::kLanes);
      }
      const int64_t end = kScaled ? std::min(d, first_dim + kKvScaleBlock) : d;
      for (int64_t i = first_dim; i < end; ++i) {
        ask<kKeyBytes>();
        V key[kN];
#pragma GCC unroll 16
        for (int j = 0; j < kN; ++j) {
          key[j] = load_kv<S>(keys + ((j / kVectors<S>)*d + i) * kPanel + j % kVectors<S> * S::kLanes);
          if constexpr (kScaled) key[j] = S::mul(key[j], scales[j]);
        }
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
          const V value = S::set1(q[m][i]);
#pragma GCC unroll 16
          for (int j = 0; j < kN; ++j) sums[m][j] = S::fma(value, key[j], sums[m][j]);
        }
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int j = 0; j < kN; ++j) {
        V score = S::mul(sums[m][j], S::set1(args.scale));
        if (args.softcap > 0)
          score = S::mul(S::set1(args.softcap), tanh<S>(S::mul(score, S::set1(1.0F / args.softcap))));
        S::store(weights[m] + p + j * S::kLanes, score);
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

  void add_values(int64_t n) { add_from<kWideValues>(n, 0, args.kv.value_stride / S::kLanes); }

  template <int C>
  void add_from(int64_t n, int64_t i, int64_t n_vector) {
    for (; n_vector >= C; i += C * S::kLanes, n_vector -= C) {
      if constexpr (kScaled) {
        if (i % kKvScaleBlock == 0) scale_weights(n, i / kKvScaleBlock);
        add_columns<C>(scaled, n, i);
      } else {
        add_columns<C>(weights, n, i);
      }
    }
    if constexpr (C > 1) add_from<C - 1>(n, i, n_vector);
  }

  void scale_weights(int64_t n, int64_t scale_block) {
    const uint16_t* scales =
        reinterpret_cast<const uint16_t*>(data + args.kv.value_scales_at) + scale_block * kKvBlock;
    for (int64_t p = 0; p < n; p += S::kLanes) {
      const V scale = S::load_f16(scales + p);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) S::store(scaled[m] + p, S::mul(S::load(weights[m] + p), scale));
    }
  }

  // mean = mean * rescale + weights * values, of the C vectors of columns from i.
  template <int C>
  void add_columns(const float (*factors)[kBlock], int64_t n, int64_t i) {
    constexpr int kValueBytes = C * kVectorBytes;
    const T* values = reinterpret_cast<const T*>(data + args.kv.values_at) + i;
    V sums[M][C];
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
        sums[m][c] = S::mul(S::load(mean[m] + i + c * S::kLanes), S::set1(rescale[m]));
    }
    for (int64_t p = 0; p < n; ++p) {
      ask<kValueBytes>();
      V value[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) value[c] = load_kv<S>(values + p * args.kv.value_stride + c * S::kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < M; ++m) {
        const V weight = S::set1(factors[m][p]);
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

template <class S, int M, class T>
inline void attention_rows(const AttentionArgs& args, int64_t n, int64_t first) {
  if (n == M) {
    AttentionTile<S, M, T> tile(args, first);
    tile.run();
  } else if constexpr (M > 1) {
    attention_rows<S, M - 1, T>(args, n, first);
  }
}

template <class S, class T>
void attention_over(const AttentionArgs& args) {
  constexpr int kM = S::kMaxAccumulators / 3;  // 8 or 4 query vectors
  const int64_t n = args.n_rows * args.n_group;
  for (int64_t first = 0; first < n; first += kM) {
    attention_rows<S, kM, T>(args, std::min<int64_t>(kM, n - first), first);
  }
}

template <class S>
void attention(const AttentionArgs& args) {
  if (args.kv.type == DType::kF16) return attention_over<S, uint16_t>(args);
  if (args.kv.type == DType::kQ8_0) return attention_over<S, int8_t>(args);
  attention_over<S, float>(args);
}

}  // namespace volant::simd
