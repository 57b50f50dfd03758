// bf16 factors of products in the layouts that products.cc asks for: oneDNN's panels, and matrices turned
// round. What takes two neighbours of a column, or one of a row, works on 32 bits: a pair of bf16.
#include <cstring>

#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

inline constexpr int64_t kPairs = kLanes;  // of one panel: 32 rows
inline constexpr int64_t kDepth = 2 * kPairs;

VOLANT_INLINE uint16_t bits_of(float x) {
  Bf16 y;
  store_one(&y, x);
  return y.bits;
}
VOLANT_INLINE uint16_t bits_of(Bf16 x) { return x.bits; }

// Sixteen numbers as bf16 in the lower half of each lane.
VOLANT_INLINE VU lanes_of(const float* p) {
  VU u;
  std::memcpy(&u, p, sizeof u);
  return (u + 0x7FFFU + ((u >> 16) & 1U)) >> 16;
}
VOLANT_INLINE VU lanes_of(const Bf16* p) {
  VH h;
  std::memcpy(&h, p, sizeof h);
  return __builtin_convertvector(h, VU);
}

// 32 numbers of a row as 16 pairs.
VOLANT_INLINE VU pairs_of(const Bf16* p) {
  VU u;
  std::memcpy(&u, p, sizeof u);
  return u;
}
VOLANT_INLINE VU pairs_of(const float* p) {
  Bf16 rounded[kDepth];
  store(rounded, load(p));
  store(rounded + kLanes, load(p + kLanes));
  return pairs_of(rounded);
}

// The lanes of sixteen vectors change places with the vectors.
VOLANT_INLINE void transpose(VU v[16]) {
  const auto stage = [&]<int kStep>() {
    // Lane l of the first result: from a where l has no bit kStep, else lane l - kStep of b.
    constexpr auto lane = [](int l, bool second) {
      const int from_b = (l & kStep) != 0;
      return static_cast<uint32_t>(second ? (from_b ? 16 + l : l + kStep) : (from_b ? 16 + l - kStep : l));
    };
#define VOLANT_LANES(s)                                                                                      \
  VU {                                                                                                       \
    lane(0, s), lane(1, s), lane(2, s), lane(3, s), lane(4, s), lane(5, s), lane(6, s), lane(7, s),          \
        lane(8, s), lane(9, s), lane(10, s), lane(11, s), lane(12, s), lane(13, s), lane(14, s), lane(15, s) \
  }
    for (int i = 0; i < 16; ++i) {
      if ((i & kStep) != 0) continue;
      const VU a = v[i], b = v[i + kStep];
      v[i] = __builtin_shuffle(a, b, VOLANT_LANES(false));
      v[i + kStep] = __builtin_shuffle(a, b, VOLANT_LANES(true));
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
    const bool whole = 2 * p + 1 < rows;
    for (int64_t c = 0; c < width; c += kLanes) {
      if (whole && c + kLanes <= columns) {
        const VU pairs = lanes_of(first + c) | lanes_of(second + c) << 16;
        std::memcpy(to + 2 * c, &pairs, sizeof pairs);
        continue;
      }
      for (int64_t i = c; i < c + kLanes; ++i) {
        to[2 * i] = 2 * p < rows && i < columns ? bits_of(first[i]) : uint16_t{0};
        to[2 * i + 1] = whole && i < columns ? bits_of(second[i]) : uint16_t{0};
      }
    }
  }
}

// The same panel of a matrix that is given turned round: x[columns, rows].
template <class T>
VOLANT_INLINE void pack_turned_panel(const T* x, int64_t stride, int64_t rows, int64_t columns, int64_t width,
                                     uint16_t* to) {
  for (int64_t c = 0; c < width; c += kLanes) {
    if (rows >= kDepth && c + kLanes <= columns) {
      VU v[16];
      for (int64_t i = 0; i < kLanes; ++i) v[i] = pairs_of(x + (c + i) * stride);
      transpose(v);
      for (int64_t p = 0; p < kPairs; ++p) std::memcpy(to + 2 * (p * width + c), &v[p], sizeof v[p]);
      continue;
    }
    for (int64_t i = c; i < c + kLanes; ++i)
      for (int64_t r = 0; r < kDepth; ++r)
        to[(r / 2) * 2 * width + 2 * i + r % 2] =
            i < columns && r < rows ? bits_of(x[i * stride + r]) : uint16_t{0};
  }
}

// 32 rows of 16 columns, turned: y[16, 32] with `y_stride` numbers from row to row.
VOLANT_INLINE void turn_tile(const Bf16* x, int64_t stride, uint16_t* y, int64_t y_stride) {
  VU v[16];
  for (int64_t p = 0; p < kPairs; ++p)
    v[p] = lanes_of(x + 2 * p * stride) | lanes_of(x + (2 * p + 1) * stride) << 16;
  transpose(v);
  for (int64_t i = 0; i < kLanes; ++i) std::memcpy(y + i * y_stride, &v[i], sizeof v[i]);
}

}  // namespace

void pack_panels(In x, bool turned, int64_t rows, int64_t columns, int64_t width, uint16_t* to) {
  const int64_t deep = (rows + kDepth - 1) / kDepth, wide = (columns + width - 1) / width;
  typed(x.bf16, [&](auto* xt) {
    const auto* from = static_cast<const TypeOf<decltype(xt)>*>(x.data);
    split(deep * wide, kDepth * width, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i % deep * kDepth, column = i / deep * width;
        uint16_t* panel = to + i * kDepth * width;
        if (turned)
          pack_turned_panel(from + column * rows + row, rows, rows - row, columns - column, width, panel);
        else
          pack_panel(from + row * columns + column, columns, rows - row, columns - column, width, panel);
      }
    });
  });
}

void turn(const void* bf16, int64_t x_columns, int64_t rows, int64_t columns, void* to) {
  constexpr int64_t kTogether = 128;  // columns: 256 bytes of a row are read at a time
  const auto* x = static_cast<const Bf16*>(bf16);
  auto* y = static_cast<uint16_t*>(to);
  const int64_t bands = (columns + kTogether - 1) / kTogether, tiles = (rows + kDepth - 1) / kDepth;
  split(bands * tiles, kTogether * kDepth, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t t = i % tiles * kDepth, band = i / tiles * kTogether;
      for (int64_t c = band; c < std::min(band + kTogether, columns); c += kLanes) {
        if (t + kDepth <= rows && c + kLanes <= columns) {
          turn_tile(x + t * x_columns + c, x_columns, y + c * rows + t, rows);
          continue;
        }
        for (int64_t column = c; column < std::min(c + kLanes, columns); ++column)
          for (int64_t row = t; row < std::min(t + kDepth, rows); ++row)
            y[column * rows + row] = x[row * x_columns + column].bits;
      }
    }
  });
}

}  // namespace volant::torch_ops::VOLANT_ISA
