// Products with f32, f16 and bf16 weights.
#pragma once
#include <type_traits>

#include "kernels/simd/tiles.h"

namespace volant::simd {

// Weights as numbers of S, from either of the two formats that are multiplied in f32.
template <class S>
inline typename S::V load_weights(const float* p) {
  return S::load(p);
}
template <class S>
inline typename S::V load_weights(const uint16_t* p) {
  return S::load_f16(p);
}

// kShifted: the weights of each input stand where args.w_at says.
template <class S, class W, bool kShifted = false>
struct FloatProduct {
  struct Ahead : Stream {
    Ahead(const MatmulArgs& args, int64_t panel, int64_t panels, int64_t passes)
        : Stream(static_cast<const W*>(args.w) + panel * kPanel * args.n_in,
                 ahead_step(args, panel, panels, passes, kPanel * sizeof(W))) {}
  };

  template <int M, int P>
  struct Tile {
    template <class Next>
    static void run(const MatmulArgs& args, int64_t row, int64_t panel, Next& ahead) {
      constexpr int kN = P * kVectors<S>;
      typename S::V sums[M][kN];
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
      }
      const float* x = static_cast<const float*>(args.x) + row * args.x_stride;
      const W* w = static_cast<const W*>(args.w) + panel * kPanel * (kShifted ? 1 : args.n_in);
      const int64_t n_in = args.n_in, x_stride = args.x_stride,
                    w_stride = kShifted ? kPanel : kPanel * args.n_in;
      for (int64_t i = 0; i < n_in; ++i) {
        const W* here = w + (kShifted ? args.w_at[i] : i * kPanel);
        if constexpr (std::is_same_v<Next, Ahead> && !kShifted) ahead.ask();
        typename S::V weights[kN];
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          weights[j] = load_weights<S>(here + (j / kVectors<S>)*w_stride + j % kVectors<S> * S::kLanes);
        }
#pragma GCC unroll 32
        for (int m = 0; m < M; ++m) {
          const typename S::V value = S::set1(x[m * x_stride + i]);
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) sums[m][j] = S::fma(value, weights[j], sums[m][j]);
        }
      }
      store_tile<S, M, P>(args, row, panel, sums);
    }
  };
};

template <class S>
struct Bf16Product {
  struct Ahead : Stream {
    Ahead(const MatmulArgs& args, int64_t panel, int64_t panels, int64_t passes)
        : Stream(static_cast<const uint16_t*>(args.w) + panel * kPanel * ((args.n_in + 1) / 2 * 2),
                 ahead_step(args, panel, panels, passes, kPanel * 2 * sizeof(uint16_t))) {}
  };

  template <int M, int P>
  struct Tile {
    template <class Next>
    static void run(const MatmulArgs& args, int64_t row, int64_t panel, Next& ahead) {
      constexpr int kN = P * kVectors<S>;
      typename S::V sums[M][kN];
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
      }
      const int64_t n_pair = (args.n_in + 1) / 2, x_stride = args.x_stride, w_stride = kPanel * n_pair * 2;
      const uint16_t* x = static_cast<const uint16_t*>(args.x) + row * x_stride;
      const uint16_t* w = static_cast<const uint16_t*>(args.w) + panel * w_stride;
      for (int64_t i = 0; i < n_pair; ++i) {
        if constexpr (std::is_same_v<Next, Ahead>) ahead.ask();
        typename S::I weights[kN];
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          weights[j] =
              S::load_pairs(w + (j / kVectors<S>)*w_stride + (i * kPanel + j % kVectors<S> * S::kLanes) * 2);
        }
#pragma GCC unroll 32
        for (int m = 0; m < M; ++m) {
          const typename S::I pair = S::set1_pair(x + m * x_stride + 2 * i);
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) sums[m][j] = S::dot_bf16(sums[m][j], weights[j], pair);
        }
      }
      store_tile<S, M, P>(args, row, panel, sums);
    }
  };
};

template <class S>
void matmul_f32(const MatmulArgs& args) {
  matmul_tiles<FloatProduct<S, float>, S::kMaxAccumulators, kVectors<S>>(args);
}
template <class S>
void matmul_shifted(const MatmulArgs& args) {
  matmul_tiles<FloatProduct<S, float, true>, S::kMaxAccumulators, kVectors<S>>(args);
}
template <class S>
void matmul_f16(const MatmulArgs& args) {
  matmul_tiles<FloatProduct<S, uint16_t>, S::kMaxAccumulators, kVectors<S>>(args);
}
template <class S>
void matmul_bf16(const MatmulArgs& args) {
  matmul_tiles<Bf16Product<S>, S::kMaxAccumulators, kVectors<S>>(args);
}

}  // namespace volant::simd
