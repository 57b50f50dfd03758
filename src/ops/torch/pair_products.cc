// Matrix products of bf16 pairs summed in f32, where the processor has an instruction for them: C = A B or
// C += A B. B lies in panels (pack_panels) that are read through from end to end; a tile of sums stays in
// registers for all of the inner dimension. A number of A is spread once for all vectors of a panel: an
// instruction that spreads and multiplies at once would ask the cache for more than it can give.
#if defined(__AVX512BF16__)
#include <algorithm>

#include "ops/torch/gelu.h"
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

// C[kRows, 16 kVectors] = A[kRows, k] B, or +=, with one panel of B. A function of its own: what is around it
// would take registers from the sums.
template <int kRows, int kVectors, bool kAdd, class A, class C>
__attribute__((noinline)) void whole_tile(A a, const uint16_t* b, int64_t k, C* c, int64_t ldc) {
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

// Where a product goes and what it goes through; `sums` [m, n] of earlier parts of the inner dimension are
// added to it.
template <class C>
struct Target {
  C* c;
  int64_t m, n;
  Finish finish = {};
  const float* sums = nullptr;

  bool stores_plain() const { return sums == nullptr && finish.does_nothing(); }
  // The vectors at `at` of C, from `column` on, of which `left` numbers count.
  template <int kCount>
  VOLANT_INLINE Vs<kCount> finished(Vs<kCount> x, int64_t at, int64_t column, int64_t left) const {
    if (sums != nullptr) x = x + load_vectors<kCount>(sums + at, left);
    if (finish.bias != nullptr) x = x + load_vectors<kCount>(finish.bias + column, left);
    if (finish.residual != nullptr) x = x + load_vectors<kCount>(finish.residual + at, left);
    if (finish.function == Finish::Function::kNone) return x;
    auto* argument = static_cast<Bf16*>(finish.argument) + at;
    if (finish.function == Finish::Function::kGeluSlope)
      return x * gelu_of(load_vectors<kCount>(argument, left), finish.tanh).slope;
    if (finish.argument != nullptr) store_vectors(argument, x, left);
    return gelu_of(x, finish.tanh).value;
  }
  // Some of a row of a tile, finished and stored.
  template <int kCount, bool kAdd>
  VOLANT_INLINE void put(const float* row, int64_t at, int64_t column, int64_t left) const {
    Vs<kCount> x = finished(load_vectors<kCount>(row, kCount * kLanes), at, column, left);
    if (kAdd) x = load_vectors<kCount>(c + at, left) + x;
    store_vectors(c + at, x, left);
  }
  // Asks for what the vector at `at` will need.
  VOLANT_INLINE void ask_for(int64_t at) const {
    if (sums != nullptr) __builtin_prefetch(sums + at);
    if (finish.residual != nullptr) __builtin_prefetch(finish.residual + at);
    if (finish.function == Finish::Function::kGeluSlope)
      __builtin_prefetch(static_cast<const Bf16*>(finish.argument) + at);
  }
};

// The tile at (row, column), or what of it is in C, by way of a whole one.
template <int kRows, int kVectors, bool kAdd, class A, class C>
void finished_tile(A a, const uint16_t* b, int64_t k, const Target<C>& to, int64_t row, int64_t column) {
  constexpr int64_t kWidth = kVectors * kLanes;
  const int64_t rows = std::min<int64_t>(to.m - row, kRows), columns = std::min(to.n - column, kWidth);
  const int64_t corner = row * to.n + column;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; j += kLanes) to.ask_for(corner + i * to.n + j);
  float tile[kRows * kWidth];
  whole_tile<kRows, kVectors, false>(UpTo<A>{a, rows - 1}, b, k, tile, kWidth);
  for (int64_t i = 0; i < rows; ++i) {
    const float* sums = tile + i * kWidth;
    const int64_t at = corner + i * to.n;
    if (columns == kWidth) {
      to.template put<kVectors, kAdd>(sums, at, column, kWidth);
      continue;
    }
    for (int64_t j = 0; j < columns; j += kLanes)
      to.template put<1, kAdd>(sums + j, at + j, column + j, columns - j);
  }
}

// The tile at (row, column) of C.
template <int kRows, int kVectors, bool kAdd, class A, class C>
VOLANT_INLINE void pair_tile(A a, const uint16_t* b, int64_t k, const Target<C>& to, int64_t row,
                             int64_t column) {
  const bool whole = to.m - row >= kRows && to.n - column >= kVectors * kLanes;
  if (whole && to.stores_plain()) [[likely]]
    return whole_tile<kRows, kVectors, kAdd>(a, b, k, to.c + row * to.n + column, to.n);
  finished_tile<kRows, kVectors, kAdd>(a, b, k, to, row, column);
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
void some_tiles(const PairProduct& p, Part part, const Target<C>& to, Range tiles, Range panels) {
  constexpr int kRows = kSums / kVectors;
  constexpr int64_t kWidth = kVectors * kLanes;
  const auto* a = static_cast<const uint16_t*>(p.a) + part.begin;
  const int64_t deep = round_up(p.k, kDepth), together = std::max<int64_t>(1, kCached / (kRows * part.k));
  for (int64_t first = tiles.begin; first < tiles.end; first += together)
    for (int64_t panel = panels.begin; panel < panels.end; ++panel)
      for (int64_t t = first; t < std::min(first + together, tiles.end); ++t) {
        const int64_t row = t * kRows, column = panel * kWidth;
        pair_tile<kRows, kVectors, kAdd>(InRows{a + row * p.k, p.k},
                                         p.panels + column * deep + part.begin * kWidth, part.k, to, row,
                                         column);
      }
}

// The longer side is split among threads.
template <int kVectors, class C>
void multiply_part(const PairProduct& p, Part part, const Target<C>& to, bool add) {
  constexpr int64_t kRows = kSums / kVectors, kWidth = kVectors * kLanes;
  const int64_t tiles = (p.m + kRows - 1) / kRows, panels = (p.n + kWidth - 1) / kWidth;
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
}

// In parts of the inner dimension of which a panel stays in the cache; all but the last go to p.sums, unless
// C can take them as they are.
template <int kVectors>
void multiply_parts(const PairProduct& p) {
  constexpr int64_t kPart = kPairDepth / 2;
  typed(p.c.bf16, [&](auto* type) {
    using C = TypeOf<decltype(type)>;
    Target<C> to{static_cast<C*>(p.c.data), p.m, p.n, p.finish};
    if (p.k <= kPairDepth) return multiply_part<kVectors>(p, {0, p.k}, to, p.add);
    const bool in_place = !p.c.bf16 && p.finish.does_nothing();
    const Target<float> sums{in_place ? static_cast<float*>(p.c.data) : p.sums, p.m, p.n};
    const int64_t last = (p.k - 1) / kPart * kPart;
    for (int64_t begin = 0; begin < last; begin += kPart)
      multiply_part<kVectors>(p, {begin, kPart}, sums, begin > 0 || (in_place && p.add));
    if (!in_place) to.sums = p.sums;
    multiply_part<kVectors>(p, {last, p.k - last}, to, in_place || p.add);
  });
}

// Columns of g that a thread lays out at a time, in panels of so many.
constexpr int64_t kGroup = 64, kNarrow = 16;

// to[c] += the sum of column c of g[rows, ...], for `count` columns.
void add_columns(const Bf16* g, int64_t stride, int64_t rows, int64_t count, float* to) {
  for (int64_t c = 0; c < count; c += kLanes) {
    V sums = load_some(to + c, count - c);
    for (int64_t r = 0; r < rows; ++r) sums += load_some(g + r * stride + c, count - c);
    store_some(to + c, sums, count - c);
  }
}

// `count` columns of g[rows, n_out] in panels of kNarrow, and their sums to `grad_bias` unless it is null.
// Rows lie far apart: the next ones are asked for early.
void pack_group(const Bf16* g, int64_t n_out, int64_t rows, int64_t count, uint16_t* panels,
                float* grad_bias) {
  const int64_t deep = round_up(rows, kDepth);
  for (int64_t row = 0; row < rows; row += kDepth) {
    const Bf16* from = g + row * n_out;
    for (int64_t r = kDepth; r < std::min(2 * kDepth, rows - row); ++r) {
      __builtin_prefetch(from + r * n_out);
      __builtin_prefetch(from + r * n_out + kDepth);
    }
    for (int64_t c = 0; c < count; c += kNarrow)
      pack_panel(from + c, n_out, rows - row, count - c, kNarrow, panels + c * deep + row * kNarrow);
    if (grad_bias != nullptr) add_columns(from, n_out, std::min(kDepth, rows - row), count, grad_bias);
  }
}

// p.grad += g^T x of some rows of g; x's lie in p.panels, g's are laid out here.
template <int kVectors>
void add_gradient(const PairGradient& p, const Bf16* g, int64_t rows) {
  constexpr int kRows = 8;
  constexpr int64_t kWidth = kVectors * kLanes;
  static_assert(kGroup % kNarrow == 0 && kNarrow % kRows == 0);
  const int64_t deep = round_up(rows, kDepth);
  const Target<float> to{p.grad, p.n_out, p.n_in};
  split((p.n_out + kRows - 1) / kRows, kRows * p.n_in * rows / (2 * kLanes),
        [&](int64_t begin, int64_t end, int) {
          uint16_t* group = ThreadMemory(kGroup * deep / 2).take_pairs(kGroup * deep / 2);
          const int64_t last = std::min(end * kRows, p.n_out);
          for (int64_t first = begin * kRows; first < last; first += kGroup) {
            const int64_t count = std::min(kGroup, last - first);
            pack_group(g + first, p.n_out, rows, count, group,
                       p.grad_bias == nullptr ? nullptr : p.grad_bias + first);
            for (int64_t column = 0; column < p.n_in; column += kWidth)
              for (int64_t i = 0; i < count; i += kRows)
                pair_tile<kRows, kVectors, true>(
                    InPanel<kNarrow>{group + i / kNarrow * kNarrow * deep + i % kNarrow * 2},
                    p.panels + column * deep, rows, to, first + i, column);
          }
        });
}

}  // namespace

void pair_product(const PairProduct& p) { p.width == 64 ? multiply_parts<4>(p) : multiply_parts<3>(p); }

void pair_gradient(const PairGradient& p) {
  constexpr int64_t kWidth = 48;
  for (int64_t row = 0; row < p.rows; row += kPairRows) {
    const int64_t count = std::min(kPairRows, p.rows - row);
    pack_panels({static_cast<const Bf16*>(p.x) + row * p.n_in, true}, false, count, p.n_in, kWidth, p.panels);
    add_gradient<kWidth / kLanes>(p, static_cast<const Bf16*>(p.g) + row * p.n_out, count);
  }
}

}  // namespace volant::torch_ops::VOLANT_ISA
#endif
