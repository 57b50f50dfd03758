// bf16 factors of products in the layouts that products.cc asks for: oneDNN's panels, and matrices turned
// round. What takes two neighbours of a column, or one of a row, works on 32 bits: a pair of bf16.
#include <numeric>

#include "ops/torch/kernel_loops.h"
#include "ops/torch/pairs.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

// `rows` of 32 rows and `columns` of 16 columns, turned: y[16, 32] with `y_stride` numbers from row to row.
VOLANT_INLINE void turn_tile(const Bf16* x, int64_t stride, int64_t rows, int64_t columns, uint16_t* y,
                             int64_t y_stride) {
  VU v[16];
  for (int64_t p = 0; p < kPairs; ++p) {
    v[p] = 2 * p < rows ? low_halves(x + 2 * p * stride, columns) : VU{};
    if (2 * p + 1 < rows) v[p] |= high_halves(x + (2 * p + 1) * stride, columns);
  }
  transpose(v);
  const auto bytes = static_cast<size_t>(std::min(rows, kDepth)) * sizeof *y;
  for (int64_t i = 0; i < std::min(columns, kLanes); ++i) std::memcpy(y + i * y_stride, &v[i], bytes);
}

// A matrix [rows, columns], or [columns, rows] when `turned`, on its way into panels of `width` columns.
template <class T>
struct Packing {
  const T* from;
  bool turned;
  int64_t rows, columns, width;
  uint16_t* to;

  int64_t deep() const { return (rows + kDepth - 1) / kDepth; }
  int64_t wide() const { return (columns + width - 1) / width; }
  VOLANT_INLINE void pack(int64_t down, int64_t across) const {
    const int64_t row = down * kDepth, column = across * width;
    uint16_t* panel = to + (across * deep() + down) * kDepth * width;
    if (turned)
      pack_turned_panel(from + column * rows + row, rows, rows - row, columns - column, width, panel);
    else
      pack_panel(from + row * columns + column, columns, rows - row, columns - column, width, panel);
  }
  // Those whose rows and columns begin in a part of the matrix.
  void pack_part(int64_t row, int64_t row_end, int64_t column, int64_t column_end) const {
    for (int64_t across = column / width; across < wide() && across * width < column_end; ++across)
      for (int64_t down = row / kDepth; down < deep() && down * kDepth < row_end; ++down) pack(down, across);
  }
};

}  // namespace

// Rows are read through: the panels of 32 of them lie apart.
void pack_panels(In x, bool turned, int64_t rows, int64_t columns, int64_t width, uint16_t* to) {
  typed(x.bf16, [&](auto* xt) {
    using T = TypeOf<decltype(xt)>;
    const Packing<T> packing{static_cast<const T*>(x.data), turned, rows, columns, width, to};
    const int64_t deep = packing.deep(), wide = packing.wide();
    split(deep * wide, kDepth * width, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i)
        packing.pack(turned ? i % deep : i / wide, turned ? i / deep : i % wide);
    });
  });
}

// By parts that are whole panels of both kinds and stay in the first level cache.
void pack_both(const float* w, int64_t n_out, int64_t n_in, PanelsOf by_inputs, PanelsOf by_outputs) {
  const Packing<float> forward{w, true, n_in, n_out, by_inputs.width, by_inputs.data};
  const Packing<float> backward{w, false, n_out, n_in, by_outputs.width, by_outputs.data};
  const int64_t high = std::lcm(kDepth, by_inputs.width), broad = std::lcm(kDepth, by_outputs.width);
  const int64_t down = (n_out + high - 1) / high, across = (n_in + broad - 1) / broad;
  split(down * across, high * broad, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t o = i / across * high, in = i % across * broad;
      forward.pack_part(in, in + broad, o, o + high);
      backward.pack_part(o, o + high, in, in + broad);
    }
  });
}

// 32 rows are read side by side, a line of the cache of each at a time; those that come are asked for early.
void turn(const void* bf16, int64_t x_columns, int64_t rows, int64_t columns, void* to) {
  constexpr int64_t kAhead = 128;
  const auto* x = static_cast<const Bf16*>(bf16);
  auto* y = static_cast<uint16_t*>(to);
  split((rows + kDepth - 1) / kDepth, columns * kDepth, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin * kDepth; t < std::min(end * kDepth, rows); t += kDepth) {
      const int64_t rows_left = rows - t;
      for (int64_t c = 0; c < columns; c += kLanes) {
        const int64_t columns_left = columns - c;
        const Bf16* from = x + t * x_columns + c;
        uint16_t* turned = y + c * rows + t;
        if (rows_left < kDepth || columns_left < kLanes) {
          turn_tile(from, x_columns, rows_left, columns_left, turned, rows);
          continue;
        }
        if (c % kDepth == 0)
          for (int64_t r = 0; r < kDepth; ++r) __builtin_prefetch(from + r * x_columns + kAhead);
        turn_tile(from, x_columns, kDepth, kLanes, turned, rows);
      }
    }
  });
}

}  // namespace volant::torch_ops::VOLANT_ISA
