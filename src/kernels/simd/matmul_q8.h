// Products of int8 activations with q8_0 weights:
// whole numbers within a block of 32, scaled and added in f32.
#pragma once
#include "kernels/simd/tiles.h"

namespace volant::simd {

template <class S>
struct Q8Product {
  template <int M, int P>
  struct Tile {
    static constexpr int kN = P * kVectors<S>;
    using V = typename S::V;
    using I = typename S::I;

    static void run(const MatmulArgs& args, int64_t row, int64_t panel) {
      V sums[M][kN];
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
      }
      const int64_t n_block = args.n_in / kQ8Block, block_stride = args.x_stride / kQ8Block;
      const int8_t* x = static_cast<const int8_t*>(args.x) + row * args.x_stride;
      const uint8_t* w = static_cast<const uint8_t*>(args.w) + panel * kPanel * args.n_in;
      const uint16_t* w_scales = args.w_scales + panel * kPanel * n_block;
      const float* x_scales = args.x_scales + row * block_stride;
      const int32_t* x_sums = args.x_sums + row * block_stride;
      const int64_t x_stride = args.x_stride, w_stride = kPanel * args.n_in, scale_stride = kPanel * n_block;
      for (int64_t b = 0; b < n_block; ++b) {
        I dots[M][kN];
#pragma GCC unroll 32
        for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) dots[m][j] = S::dot_start(x_sums[m * block_stride + b]);
        }
#pragma GCC unroll 8
        for (int g = 0; g < kQ8Block / 4; ++g) {
          I weights[kN];
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) {
            weights[j] = S::load_bytes(w + (j / kVectors<S>)*w_stride + (b * kQ8Block + g * 4) * kPanel +
                                       j % kVectors<S> * S::kLanes * 4);
          }
#pragma GCC unroll 32
          for (int m = 0; m < M; ++m) {
            const I four = S::set1_bytes(x + m * x_stride + b * kQ8Block + g * 4);
#pragma GCC unroll 32
            for (int j = 0; j < kN; ++j) dots[m][j] = S::dot(dots[m][j], weights[j], four);
          }
        }
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          const V w_scale = S::load_f16(w_scales + (j / kVectors<S>)*scale_stride + b * kPanel +
                                        j % kVectors<S> * S::kLanes);
#pragma GCC unroll 32
          for (int m = 0; m < M; ++m) {
            const V scale = S::mul(w_scale, S::set1(x_scales[m * block_stride + b]));
            sums[m][j] = S::fma(S::to_float(dots[m][j]), scale, sums[m][j]);
          }
        }
      }
      store_tile<S, M, P>(args, row, panel, sums);
    }
  };
};

template <class S>
void matmul_q8_0(const MatmulArgs& args) {
  using Product = Q8Product<S>;
  if constexpr (kVectors<S> == 1) {  // 32 registers: two sets of eight sums
    if (args.n_rows == 1) return run_all<Product::template Tile, 1, 4>(args);
    if (args.n_rows == 2) return run_all<Product::template Tile, 2, 4>(args);
    return run_all<Product::template Tile, 4, 2>(args);
  } else {
    if (args.n_rows == 1) return run_all<Product::template Tile, 1, 2>(args);
    return run_all<Product::template Tile, 2, 1>(args);
  }
}

}  // namespace volant::simd
