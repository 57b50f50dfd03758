// How a product is cut into register tiles: M rows by P panels, as large as the
// registers hold. A tile is a class with `static void run(args, row, panel)`;
// which tile computes an output never changes the order it is summed in.
#pragma once
#include <algorithm>

#include "kernels/kernels.h"

namespace volant::simd {

template <class S>
inline constexpr int kVectors = static_cast<int>(kPanel) / S::kLanes;  // vectors in a panel

// A product of few rows with quantised weights waits for memory: it asks this many bytes ahead, since
// processors look no farther than a page. Best on Zen 5: 4 to 8 KB. bf16 in four streams comes as fast
// without it.
inline constexpr int kAhead = 4096;

template <int bytes>
[[gnu::always_inline]] inline void ask_for(const void* p) {
#pragma GCC unroll 32
  for (int line = 0; line < bytes; line += 64) __builtin_prefetch(static_cast<const char*>(p) + line);
}

// Weights that are read when the panels at hand are done, asked for evenly while those are computed with. All
// but the first pass over a panel find it in the caches: memory would stand idle meanwhile.
class Stream {
 public:
  Stream(const void* from, int64_t step) : at_(static_cast<const char*>(from)), step_(step) {}
  [[gnu::always_inline]] void ask() {
    for (int64_t i = 0; i < step_; i += 64) __builtin_prefetch(at_ + i);
    at_ += step_;
  }

 private:
  const char* at_;
  int64_t step_;  // bytes each time
};

// What a tile takes in place of a product's `Ahead` when it asks for nothing, or for its own panel.
struct NoAhead {};

// Writes M x P panels of sums, the last panel cut at n_out.
template <class S, int M, int P>
inline void store_tile(const MatmulArgs& args, int64_t row, int64_t panel,
                       const typename S::V (&sums)[M][P * kVectors<S>]) {
  const int64_t first = panel * kPanel;
  if (first + P * kPanel <= args.n_out) {
#pragma GCC unroll 32
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
      for (int j = 0; j < P * kVectors<S>; ++j) {
        S::store(args.y + (row + m) * args.y_stride + first + j * S::kLanes, sums[m][j]);
      }
    }
    return;
  }
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
    for (int j = 0; j < P * kVectors<S>; ++j) {
      const int64_t left = args.n_out - first - j * S::kLanes;
      if (left > 0) {
        S::store_part(args.y + (row + m) * args.y_stride + first + j * S::kLanes, sums[m][j],
                      std::min<int64_t>(left, S::kLanes));
      }
    }
  }
}

// The sums so far of M x P panels: zero at first, later what y holds; outputs past the end are anything.
template <class S, int M, int P>
inline void load_tile(const MatmulArgs& args, int64_t row, int64_t panel, bool first,
                      typename S::V (&sums)[M][P * kVectors<S>]) {
#pragma GCC unroll 32
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
    for (int j = 0; j < P * kVectors<S>; ++j) {
      const int64_t at = panel * kPanel + j * S::kLanes, left = args.n_out - at;
      const float* y = args.y + (row + m) * args.y_stride + at;
      sums[m][j] = first || left <= 0 ? S::zero() : left >= S::kLanes ? S::load(y) : S::load_part(y, left);
    }
  }
}

// Calls f.operator()<n>(row) with n = `n`, in kLeast..M.
template <int M, int kLeast, class F>
inline void with_rows(int64_t n, int64_t row, const F& f) {
  if (n == M) {
    f.template operator()<M>(row);
  } else if constexpr (M > kLeast) {
    with_rows<M - 1, kLeast>(n, row, f);
  }
}

// Cuts the rows into tiles of nearly equal height, at most M: f.operator()<height>(first row). `kLeast`: no
// tile is lower.
template <int M, int kLeast = 1, class F>
inline void for_row_tiles(int64_t n_rows, const F& f) {
  const int64_t n_tile = (n_rows + M - 1) / M;
  for (int64_t t = 0; t < n_tile; ++t) {
    const int64_t begin = n_rows * t / n_tile, end = n_rows * (t + 1) / n_tile;
    with_rows<M, kLeast>(end - begin, begin, f);
  }
}

template <template <int, int> class Tile, int M, int P>
inline void run_all(const MatmulArgs& args) {
  int64_t panel = args.panel_begin;
  for (; panel + P <= args.panel_end; panel += P) {
    NoAhead none;
    for_row_tiles<M>(args.n_rows,
                     [&]<int kRows>(int64_t row) { Tile<kRows, P>::run(args, row, panel, none); });
  }
  if constexpr (P > 1) {
    MatmulArgs rest = args;
    rest.panel_begin = panel;
    run_all<Tile, M, P / 2>(rest);
  }
}

// The same for more than M / 2 rows in passes over each panel that ask for the next panels meanwhile:
// Product::Ahead(args, first panel, panels, passes).
template <class Product, int M, int P>
inline void run_passes(const MatmulArgs& args) {
  int64_t panel = args.panel_begin;
  for (; panel + P <= args.panel_end; panel += P) {
    typename Product::Ahead ahead(args, panel + P, P, (args.n_rows + M - 1) / M);
    for_row_tiles<M, (M + 1) / 2>(args.n_rows, [&]<int kRows>(int64_t row) {
      Product::template Tile<kRows, P>::run(args, row, panel, ahead);
    });
  }
  if constexpr (P > 1) {
    MatmulArgs rest = args;
    rest.panel_begin = panel;
    run_passes<Product, M, P / 2>(rest);
  }
}

// Bytes that each of the passes asks for at each of its steps, of what `step` bytes are for one step of a
// panel: none past the last panel. The activations of very many rows would push them out again.
inline int64_t ahead_step(const MatmulArgs& args, int64_t panel, int64_t panels, int64_t passes,
                          int64_t step) {
  constexpr int64_t kMostRows = 256;
  if (panel * kPanel >= args.n_out || args.n_rows > kMostRows) return 0;
  return (panels * step + passes - 1) / passes;
}

// Few rows: many panels at once, to keep enough reads of weights under way. Many rows: tall tiles, so that a
// weight in a register serves many rows.
template <class Product, int kAccumulators, int kVectorsPerPanel>
inline void matmul_tiles(const MatmulArgs& args) {
  constexpr int kCells = kAccumulators / kVectorsPerPanel;  // row x panel cells that the registers hold
  constexpr int kPanels = kCells >= 12 ? 2 : 1, kRows = kCells / kPanels;
  if constexpr (kCells >= 12) {
    if (args.n_rows <= 2) return run_all<Product::template Tile, 2, 4>(args);
    if (args.n_rows <= kRows / 2) return run_all<Product::template Tile, kRows / 2, 4>(args);
  } else if constexpr (kCells >= 6) {
    if (args.n_rows <= 2) return run_all<Product::template Tile, 2, kCells / 2>(args);
  } else {
    if (args.n_rows == 1) return run_all<Product::template Tile, 1, kCells>(args);
  }
  if (args.n_rows > kRows / 2) return run_passes<Product, kRows, kPanels>(args);
  run_all<Product::template Tile, kRows, kPanels>(args);
}

}  // namespace volant::simd
