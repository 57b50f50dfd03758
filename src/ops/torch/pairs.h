// bf16 numbers in pairs of neighbours, as products of pairs read their factors: panels of 32 rows in which
// two rows of a column lie beside each other. Included only by the kernels, inside the namespace of their
// instruction set.
#pragma once
#include <algorithm>
#include <cstring>

#include "ops/torch/vec.h"

namespace volant::torch_ops::VOLANT_ISA {

inline constexpr int64_t kPairs = kLanes;  // of one panel: 32 rows
inline constexpr int64_t kDepth = 2 * kPairs;

// Sixteen numbers as bf16 in the lower half of each lane, or in the upper.
VOLANT_INLINE VU low_halves(V x) { return __builtin_convertvector(rounded(x), VU); }
VOLANT_INLINE VU low_halves(const float* p, int64_t count) { return low_halves(load_some(p, count)); }
VOLANT_INLINE VU low_halves(const Bf16* p, int64_t count) {
  if (count < kLanes) return low_halves(load_some(p, count));
  VH h;
  std::memcpy(&h, p, sizeof h);
  return __builtin_convertvector(h, VU);
}
template <class T>
VOLANT_INLINE VU high_halves(const T* p, int64_t count) {
  return low_halves(p, count) << 16;
}

// The first `count` of 32 numbers of a row as 16 pairs, zeros after them.
VOLANT_INLINE VU pairs_of(const Bf16* p, int64_t count) {
  VU u{};
  if (count >= kDepth) {
    std::memcpy(&u, p, sizeof u);
    return u;
  }
#if defined(__AVX512F__)
  const __m512i numbers = _mm512_maskz_loadu_epi16(static_cast<__mmask32>((1U << count) - 1), p);
  std::memcpy(&u, &numbers, sizeof u);
#else
  std::memcpy(&u, p, static_cast<size_t>(count) * sizeof *p);
#endif
  return u;
}
VOLANT_INLINE VU pairs_of(const float* p, int64_t count) {
  Bf16 numbers[kDepth] = {};
  store(numbers, load_some(p, count));
  if (count > kLanes) store(numbers + kLanes, load_some(p + kLanes, count - kLanes));
  return pairs_of(numbers, kDepth);
}

// The lanes of sixteen vectors change places with the vectors.
VOLANT_INLINE void transpose(VU v[16]) {
  const auto stage = [&]<int kStep>() {
    // Lane l of the first result: from a where l has no bit kStep, else lane l - kStep of b.
    constexpr auto lane = [](int l, bool second) {
      const int from_b = (l & kStep) != 0;
      return second ? (from_b ? 16 + l : l + kStep) : (from_b ? 16 + l - kStep : l);
    };
#define VOLANT_LANES(s)                                                                           \
  lane(0, s), lane(1, s), lane(2, s), lane(3, s), lane(4, s), lane(5, s), lane(6, s), lane(7, s), \
      lane(8, s), lane(9, s), lane(10, s), lane(11, s), lane(12, s), lane(13, s), lane(14, s), lane(15, s)
    for (int i = 0; i < 16; ++i) {
      if ((i & kStep) != 0) continue;
      const VU a = v[i], b = v[i + kStep];
      v[i] = __builtin_shufflevector(a, b, VOLANT_LANES(false));
      v[i + kStep] = __builtin_shufflevector(a, b, VOLANT_LANES(true));
    }
#undef VOLANT_LANES
  };
  stage.template operator()<1>();
  stage.template operator()<2>();
  stage.template operator()<4>();
  stage.template operator()<8>();
}

// One panel [16 pairs of rows, width, 2] of x[rows, columns]; what is beyond the matrix is zero.
template <class T>
VOLANT_INLINE void pack_panel(const T* x, int64_t stride, int64_t rows, int64_t columns, int64_t width,
                              uint16_t* to) {
  for (int64_t p = 0; p < kPairs; ++p, to += 2 * width) {
    const T *first = x + 2 * p * stride, *second = first + stride;
    for (int64_t c = 0; c < width; c += kLanes) {
      VU pairs{};
      if (2 * p < rows && c < columns) pairs = low_halves(first + c, columns - c);
      if (2 * p + 1 < rows && c < columns) pairs |= high_halves(second + c, columns - c);
      std::memcpy(to + 2 * c, &pairs, sizeof pairs);
    }
  }
}

// The same panel of a matrix that is given turned round: x[columns, rows].
template <class T>
VOLANT_INLINE void pack_turned_panel(const T* x, int64_t stride, int64_t rows, int64_t columns, int64_t width,
                                     uint16_t* to) {
  for (int64_t c = 0; c < width; c += kLanes) {
    VU v[16];
    for (int64_t i = 0; i < kLanes; ++i) v[i] = c + i < columns ? pairs_of(x + (c + i) * stride, rows) : VU{};
    transpose(v);
    for (int64_t p = 0; p < kPairs; ++p) std::memcpy(to + 2 * (p * width + c), &v[p], sizeof v[p]);
  }
}

}  // namespace volant::torch_ops::VOLANT_ISA
