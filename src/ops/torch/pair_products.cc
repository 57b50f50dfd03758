// Matrix products of bf16 pairs summed in f32, where the processor has an instruction for them: C = A B or
// C += A B. B lies in panels (pack_panels) that are read through from end to end; a tile of sums stays in
// registers for all of the inner dimension. A number of A is spread once for all vectors of a panel: an
// instruction that spreads and multiplies at once would ask the cache for more than it can give.
#if defined(__AVX512BF16__)
#include <algorithm>

#include "ops/torch/kernel_list.h"
#include "ops/torch/kernel_loops.h"
#include "ops/torch/pairs.h"
#include "ops/torch/thread_memory.h"
#include "ops/torch/tiles.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

constexpr int kSums = 24;               // vectors of a tile: with the factors all that registers hold
constexpr int64_t kCached = 192 << 10;  // numbers of A that stay in the second level cache beside a panel

// A in rows: a pair are neighbours of a row.
struct InRows {
  const uint16_t* data;
  int64_t stride;
  static constexpr int64_t kPairStep = 2;
  VOLANT_INLINE const uint16_t* row(int64_t i) const { return data + i * stride; }
};
// A in a panel: its rows are the panel's columns.
template <int64_t kWidth>
struct InPanel {
  const uint16_t* data;
  static constexpr int64_t kPairStep = 2 * kWidth;
  VOLANT_INLINE const uint16_t* row(int64_t i) const { return data + 2 * i; }
};

// C[kRows, 16 kVectors] = A[kRows, k] B, or +=, with one panel of B.
template <int kRows, int kVectors, bool kAdd, class A, class C>
VOLANT_INLINE void whole_tile(A a, const uint16_t* b, int64_t k, C* c, int64_t ldc) {
  V sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) {
      sums[i][j] = V{};
      if (kAdd) __builtin_prefetch(c + i * ldc + j * kLanes, 1);
    }
  const auto add_products = [&](auto&& spread) __attribute__((always_inline)) {
    Bf16Pairs::Vector bs[kVectors];
    for (int j = 0; j < kVectors; ++j, b += Bf16Pairs::kStep) bs[j] = Bf16Pairs::vector(b);
    for (int i = 0; i < kRows; ++i) {
      auto left = spread(a.row(i));
      asm("" : "+v"(left));
      for (int j = 0; j < kVectors; ++j) sums[i][j] = Bf16Pairs::add_product(sums[i][j], left, bs[j]);
    }
  };
  for (int64_t pair = 0; pair < k / 2; ++pair)
    add_products([&](const uint16_t* row) { return Bf16Pairs::spread(row + pair * A::kPairStep); });
  if (k % 2 != 0)
    add_products([&](const uint16_t* row) { return Bf16Pairs::spread_one(row + k / 2 * A::kPairStep); });
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) {
      C* to = c + i * ldc + j * kLanes;
      store(to, kAdd ? load(to) + sums[i][j] : sums[i][j]);
    }
}

// A with its last row for all that come after it.
template <class A>
struct UpTo {
  A a;
  int64_t last;
  static constexpr int64_t kPairStep = A::kPairStep;
  VOLANT_INLINE const uint16_t* row(int64_t i) const { return a.row(std::min(i, last)); }
};

// The first rows and columns of a tile, by way of a whole one.
template <int kRows, int kVectors, bool kAdd, class A, class C>
void part_of_tile(A a, const uint16_t* b, int64_t k, C* c, int64_t ldc, int64_t rows, int64_t columns) {
  constexpr int64_t kWidth = kVectors * kLanes;
  float tile[kRows * kWidth];
  rows = std::min<int64_t>(rows, kRows), columns = std::min(columns, kWidth);
  whole_tile<kRows, kVectors, false>(UpTo<A>{a, rows - 1}, b, k, tile, kWidth);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; j += kLanes) {
      C* to = c + i * ldc + j;
      const V sums = load(tile + i * kWidth + j);
      store_some(to, kAdd ? load_some(to, columns - j) + sums : sums, columns - j);
    }
}

template <int kRows, int kVectors, bool kAdd, class A, class C>
VOLANT_INLINE void pair_tile(A a, const uint16_t* b, int64_t k, C* c, int64_t ldc, int64_t rows,
                             int64_t columns) {
  if (rows >= kRows && columns >= kVectors * kLanes) [[likely]]
    return whole_tile<kRows, kVectors, kAdd>(a, b, k, c, ldc);
  part_of_tile<kRows, kVectors, kAdd>(a, b, k, c, ldc, rows, columns);
}

struct Range {
  int64_t begin, end;
};

// A part of the inner dimension of a product: k numbers from `begin` on.
struct Part {
  int64_t begin, k;
};

// The tiles of some rows and panels, as many rows together as stay in the cache.
template <int kVectors, bool kAdd, class C>
void some_tiles(const PairProduct& p, Part part, C* c, Range tiles, Range panels) {
  constexpr int kRows = kSums / kVectors;
  constexpr int64_t kWidth = kVectors * kLanes;
  const auto* a = static_cast<const uint16_t*>(p.a) + part.begin;
  const int64_t deep = round_up(p.k, kDepth), together = std::max<int64_t>(1, kCached / (kRows * part.k));
  for (int64_t first = tiles.begin; first < tiles.end; first += together)
    for (int64_t panel = panels.begin; panel < panels.end; ++panel)
      for (int64_t t = first; t < std::min(first + together, tiles.end); ++t) {
        const int64_t row = t * kRows, column = panel * kWidth;
        pair_tile<kRows, kVectors, kAdd>(InRows{a + row * p.k, p.k},
                                         p.panels + column * deep + part.begin * kWidth, part.k,
                                         c + row * p.n + column, p.n, p.m - row, p.n - column);
      }
}

// The longer side is split among threads.
template <int kVectors>
void multiply_part(const PairProduct& p, Part part, Out c, bool add) {
  constexpr int64_t kRows = kSums / kVectors, kWidth = kVectors * kLanes;
  const int64_t tiles = (p.m + kRows - 1) / kRows, panels = (p.n + kWidth - 1) / kWidth;
  typed(c.bf16, [&](auto* type) {
    auto* to = static_cast<TypeOf<decltype(type)>*>(c.data);
    const auto run = [&](Range of_tiles, Range of_panels) {
      return add ? some_tiles<kVectors, true>(p, part, to, of_tiles, of_panels)
                 : some_tiles<kVectors, false>(p, part, to, of_tiles, of_panels);
    };
    const int64_t pairs_each = kRows * kWidth * part.k / (2 * kLanes);
    if (tiles >= panels)
      split(tiles, panels * pairs_each, [&](int64_t begin, int64_t end, int) {
        run({begin, end}, {0, panels});
      });
    else
      split(panels, tiles * pairs_each, [&](int64_t begin, int64_t end, int) {
        run({0, tiles}, {begin, end});
      });
  });
}

// In parts of the inner dimension of which a panel stays in the cache.
template <int kVectors>
void multiply_parts(const PairProduct& p) {
  if (p.k <= kPairDepth) return multiply_part<kVectors>(p, {0, p.k}, p.c, p.add);
  constexpr int64_t kPart = kPairDepth / 2;
  const Out sums = p.c.bf16 ? Out{p.sums, false} : p.c;
  if (p.c.bf16 && p.add) convert({p.c.data, true}, p.m * p.n, sums);
  for (int64_t begin = 0; begin < p.k; begin += kPart)
    multiply_part<kVectors>(p, {begin, std::min(kPart, p.k - begin)}, sums, p.add || begin > 0);
  if (p.c.bf16) convert({p.sums, false}, p.m * p.n, p.c);
}

// Columns of g that a thread lays out at a time, in panels of so many.
constexpr int64_t kGroup = 64, kNarrow = 16;

// Columns first ... first + count - 1 of g[rows, n_out] in panels of kNarrow. Rows lie far apart: the next
// ones are asked for early.
void pack_group(const Bf16* g, int64_t n_out, int64_t rows, int64_t count, uint16_t* panels) {
  const int64_t deep = round_up(rows, kDepth);
  for (int64_t row = 0; row < rows; row += kDepth) {
    const Bf16* from = g + row * n_out;
    for (int64_t r = kDepth; r < std::min(2 * kDepth, rows - row); ++r) {
      __builtin_prefetch(from + r * n_out);
      __builtin_prefetch(from + r * n_out + kDepth);
    }
    for (int64_t c = 0; c < count; c += kNarrow)
      pack_panel(from + c, n_out, rows - row, count - c, kNarrow, panels + c * deep + row * kNarrow);
  }
}

// grad[n_out, n_in] += g^T x of some rows; x lies in panels, g is laid out here.
template <int kVectors>
void add_gradient(const Bf16* g, const uint16_t* x_panels, int64_t rows, int64_t n_out, int64_t n_in,
                  float* grad) {
  constexpr int kRows = 8;
  constexpr int64_t kWidth = kVectors * kLanes;
  static_assert(kGroup % kNarrow == 0 && kNarrow % kRows == 0);
  const int64_t deep = round_up(rows, kDepth);
  split((n_out + kRows - 1) / kRows, kRows * n_in * rows / (2 * kLanes),
        [&](int64_t begin, int64_t end, int) {
          uint16_t* group = ThreadMemory(kGroup * deep / 2).take_pairs(kGroup * deep / 2);
          const int64_t last = std::min(end * kRows, n_out);
          for (int64_t first = begin * kRows; first < last; first += kGroup) {
            const int64_t count = std::min(kGroup, last - first);
            pack_group(g + first, n_out, rows, count, group);
            for (int64_t column = 0; column < n_in; column += kWidth)
              for (int64_t i = 0; i < count; i += kRows)
                pair_tile<kRows, kVectors, true>(
                    InPanel<kNarrow>{group + i / kNarrow * kNarrow * deep + i % kNarrow * 2},
                    x_panels + column * deep, rows, grad + (first + i) * n_in + column, n_in, count - i,
                    n_in - column);
          }
        });
}

}  // namespace

void pair_product(const PairProduct& p) { p.width == 64 ? multiply_parts<4>(p) : multiply_parts<3>(p); }

void pair_gradient(const PairGradient& p) {
  constexpr int64_t kWidth = 48;
  for (int64_t row = 0; row < p.rows; row += kPairRows) {
    const int64_t count = std::min(kPairRows, p.rows - row);
    const auto *x = static_cast<const uint16_t*>(p.x) + row * p.n_in,
               *g = static_cast<const uint16_t*>(p.g) + row * p.n_out;
    pack_panels({x, true}, false, count, p.n_in, kWidth, p.panels);
    add_gradient<kWidth / kLanes>(reinterpret_cast<const Bf16*>(g), p.panels, count, p.n_out, p.n_in, p.grad);
  }
}

}  // namespace volant::torch_ops::VOLANT_ISA
#endif
