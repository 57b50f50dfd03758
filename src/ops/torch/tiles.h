// Small products out of the first level cache, four rows at a time: C = A B, or +=, over f32 numbers or over
// pairs of bf16. Included only by the kernels, inside the namespace of their instruction set.
#pragma once
#include <utility>

#include "ops/torch/vec.h"

namespace volant::torch_ops::VOLANT_ISA {

#if defined(__AVX512F__)
inline constexpr int kWide = 4;  // vectors side by side: 4 x 4 sums in registers
#else
inline constexpr int kWide = 1;
#endif

// What is multiplied and summed: one number, sixteen columns of B.
struct Floats {
  using Number = float;
  using Vector = V;
  static constexpr int64_t kStep = kLanes;  // numbers in a vector of B
  VOLANT_INLINE static Vector vector(const float* b) { return load(b); }
  VOLANT_INLINE static Vector spread(const float* a) { return broadcast(*a); }
  VOLANT_INLINE static V add_product(V sum, Vector a, Vector b) { return sum + a * b; }
};
#if defined(__AVX512BF16__)
// Two neighbours of a row of A, and of each of sixteen columns of B, which lie beside each other in memory.
struct Bf16Pairs {
  using Number = uint16_t;
  using Vector = __m512bh;
  static constexpr int64_t kStep = 2 * kLanes;
  VOLANT_INLINE static Vector vector(const uint16_t* b) {
    Vector x;
    std::memcpy(&x, b, sizeof x);
    return x;
  }
  VOLANT_INLINE static Vector spread(const uint16_t* a) {
    int32_t pair;
    std::memcpy(&pair, a, sizeof pair);
    return (Vector)_mm512_set1_epi32(pair);
  }
  // A last number without a neighbour.
  VOLANT_INLINE static Vector spread_one(const uint16_t* a) { return (Vector)_mm512_set1_epi32(*a); }
  VOLANT_INLINE static V add_product(V sum, Vector a, Vector b) { return _mm512_dpbf16_ps(sum, a, b); }
};
#endif

// A[i, k] lies at data[i * row + k * column]; for pairs, k counts pairs.
template <class F>
struct Strided {
  const typename F::Number* data;
  int64_t row, column;
};

template <class F, int kRows, int kVectors, bool kAdd>
VOLANT_INLINE void tile(Strided<F> a, const typename F::Number* b, int64_t ldb, int64_t n_inner, float* c,
                        int64_t ldc) {
  V sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) sums[i][j] = kAdd ? load(c + i * ldc + j * kLanes) : V{};
  for (int64_t k = 0; k < n_inner; ++k) {
    typename F::Vector bs[kVectors];
    for (int j = 0; j < kVectors; ++j) bs[j] = F::vector(b + k * ldb + j * F::kStep);
    for (int i = 0; i < kRows; ++i) {
      const auto left = F::spread(a.data + i * a.row + k * a.column);
      for (int j = 0; j < kVectors; ++j) sums[i][j] = F::add_product(sums[i][j], left, bs[j]);
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) store(c + i * ldc + j * kLanes, sums[i][j]);
}

template <class F, int kRows, bool kAdd>
VOLANT_INLINE void tile_row(Strided<F> a, const typename F::Number* b, int64_t ldb, int64_t columns,
                            int64_t n_inner, float* c, int64_t ldc) {
  const auto some = [&]<int kVectors>(int64_t j) {
    tile<F, kRows, kVectors, kAdd>(a, b + j / kLanes * F::kStep, ldb, n_inner, c + j, ldc);
  };
  int64_t j = 0;
  for (; j + kWide * kLanes <= columns; j += kWide * kLanes) some.template operator()<kWide>(j);
  switch ((columns - j) / kLanes) {
    case 1:
      return some.template operator()<1>(j);
    case 2:
      return some.template operator()<2>(j);
    case 3:
      return some.template operator()<3>(j);
    default:
      return;
  }
}

// C[rows, columns] = A[rows, n_inner] B[n_inner, columns], or += ; columns a multiple of kLanes.
template <class F, bool kAdd>
void multiply(Strided<F> a, int64_t rows, const typename F::Number* b, int64_t ldb, int64_t columns,
              int64_t n_inner, float* c, int64_t ldc) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4)
    tile_row<F, 4, kAdd>({a.data + i * a.row, a.row, a.column}, b, ldb, columns, n_inner, c + i * ldc, ldc);
  for (; i < rows; ++i)
    tile_row<F, 1, kAdd>({a.data + i * a.row, a.row, a.column}, b, ldb, columns, n_inner, c + i * ldc, ldc);
}

}  // namespace volant::torch_ops::VOLANT_ISA
