// Products of int8 activations with quantised weights: whole numbers within a group that shares a scale,
// scaled and added in f32. One text for all block types: what differs (bits of a code, planes, size of a
// group, table, minimum) is a constant of the type.
//
// A vector type S gives, besides arithmetic on floats:
//   load_bytes, store_bytes, set1_byte, bit_and,       whole vectors; n > 0 is to the left, in 16-bit lanes
//   bit_or, shift<n>
//   load_table, lookup                                 16 bytes by codes
//   set1_bytes                                         4 activations in every lane
//   load_int8, load_halves                             int32 lanes
//   kUnsigned                                          dot<m> takes weights above 127 as they are; otherwise
//                                                      it takes 128 off them
//   kFolds<m>                                          dots of weights up to m that may follow each other
//   dot_begin, dot<m>, dot_end<m>                      sum over them
#pragma once
#include <type_traits>
#include <utility>

#include "kernels/pack.h"
#include "kernels/simd/tiles.h"

namespace volant::simd {

template <class S, DType kType>
struct BlockProduct {
  using V = typename S::V;
  using I = typename S::I;
  static constexpr BlockShape kShape = block_shape(kType);
  static constexpr PackedLayout kLayout = packed_layout(kType);
  static constexpr int kLine = 64;                         // bytes
  static constexpr int kPieceBytes = kLine * kShape.bits;  // codes of 32 inputs
  static constexpr int kPieces = kLayout.block / 32;       // 32 inputs of a record
  static constexpr int kSubs = 32 / kShape.sub;            // scales of 32 inputs
  static constexpr int kGroups = kShape.sub / 4;           // of four inputs, under a scale
  static constexpr int kReadyBytes = 8 * kLine;            // codes of 32 inputs, a byte each

  // The table as bytes at least 1, so that it serves products of unsigned with signed bytes.
  struct Table {
    int offset = 0, most = 0;
    uint8_t values[16] = {};
  };
  static constexpr Table make_table() {
    Table table;
    const int n = 1 << kShape.bits;
    for (int i = 0; i < n; ++i) table.offset = std::max(table.offset, 1 - kShape.values[i]);
    if (table.offset > 64) table.offset = 128;
    for (int i = 0; i < 16; ++i) {
      table.values[i] = static_cast<uint8_t>(kShape.values[i % n] + table.offset);
      table.most = std::max<int>(table.most, table.values[i]);
    }
    return table;
  }
  static constexpr Table kTable = kShape.values != nullptr ? make_table() : Table{};
  static constexpr int kMost = kShape.values != nullptr ? kTable.most : (1 << kShape.bits) - 1;
  static constexpr int kOffset = kShape.values != nullptr ? kTable.offset : kShape.offset;
  static_assert(kMost <= 127 || kOffset == 128);
  // What the dot product leaves to be taken off.
  static constexpr int kOffsetLeft = kMost > 127 && !S::kUnsigned ? 0 : kOffset;

  // Weights of group g (0 to 7) of 32 inputs, one vector's outputs; `w` is that vector's part of a line.
  template <int g>
  [[gnu::always_inline]] static I weights(const uint8_t* w) {
    if constexpr (kLayout.bytes != 0) return S::load_bytes(w + g * kLine);
    I code{};
    if constexpr (kLayout.nibbles != 0) {
      const I line = S::load_bytes(w + g / 2 * kLine);
      code = S::bit_and(S::template shift<-4 * (g % 2)>(line), S::set1_byte(0xF));
    }
    if constexpr (kLayout.pairs != 0) {
      const I line = S::load_bytes(w + kLayout.pairs_at + g / 4 * kLine);
      const I two = S::bit_and(S::template shift<kLayout.pairs_shift - 2 * (g % 4)>(line),
                               S::set1_byte(3 << kLayout.pairs_shift));
      code = kLayout.nibbles != 0 ? S::bit_or(code, two) : two;
    }
    if constexpr (kLayout.bits != 0) {
      const I line = S::load_bytes(w + kLayout.bits_at);
      const I one =
          S::bit_and(S::template shift<kLayout.bits_shift - g>(line), S::set1_byte(1 << kLayout.bits_shift));
      code = S::bit_or(code, one);
    }
    if constexpr (kShape.values != nullptr) code = S::lookup(S::load_table(kTable.values), code);
    return code;
  }

  // A stretch of inputs of P panels made ready for many rows: codes as bytes, scales and minimums multiplied.
  template <int P>
  struct Ready {
    static constexpr int kLength =
        24;  // pieces: with the rows' activations they stay in the first level cache
    static constexpr int kRecords = kLength / kPieces;
    alignas(64) uint8_t codes[P][kLength][kReadyBytes];
    alignas(64) float steps[P][kLength][kSubs][kPanel];
    alignas(64) float less[kShape.has_min ? P : 1][kLength][kSubs][kPanel];
  };

  // Of both streams, by 32 inputs and by records.
  struct Ahead {
    Stream codes, records;
    Ahead(const MatmulArgs& args, int64_t panel, int64_t panels, int64_t passes)
        : codes(static_cast<const uint8_t*>(args.w) + panel * (args.n_in / 32) * kPieceBytes,
                ahead_step(args, panel, panels, passes, kPieceBytes)),
          records(static_cast<const uint8_t*>(args.w_scales) +
                      panel * (args.n_in / kLayout.block) * kLayout.record_bytes,
                  ahead_step(args, panel, panels, passes, kLayout.record_bytes)) {}
  };

  // M rows by P panels. kReady: from a stretch that was made ready.
  template <int M, int P, bool kReady = false>
  struct Tile {
    static constexpr int kN = P * kVectors<S>;
    static constexpr int kFold = std::min(kGroups, S::template kFolds<kMost>);
    static_assert(kGroups % kFold == 0);
    static constexpr int kRecordsAhead = kAhead / (kPieceBytes * kPieces);

    // The next group of inputs into the dots of all cells.
    template <int first, int i>
    [[gnu::always_inline]] static void add_group(const int8_t* x, int64_t x_stride, const uint8_t* w,
                                                 int64_t w_stride, I (&dots)[M][kN], I (&part)[M][kN]) {
      constexpr int g = first + i;
      I weight[kN];
#pragma GCC unroll 32
      for (int j = 0; j < kN; ++j) {
        const uint8_t* at = w + panel_of(j) * w_stride + lane_of(j) * 4;
        if constexpr (kReady) {
          weight[j] = S::load_bytes(at + g * kLine);
        } else {
          weight[j] = weights<g>(at);
        }
      }
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
        const I four = S::set1_bytes(x + m * x_stride + 4 * g);
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          if constexpr (i % kFold == 0) part[m][j] = S::dot_begin(dots[m][j]);
          part[m][j] = S::template dot<kMost>(part[m][j], weight[j], four);
          if constexpr (i % kFold == kFold - 1)
            dots[m][j] = S::template dot_end<kMost>(dots[m][j], part[m][j]);
        }
      }
    }

    template <int first, int... i>
    [[gnu::always_inline]] static void add_groups(std::integer_sequence<int, i...>, const int8_t* x,
                                                  int64_t x_stride, const uint8_t* w, int64_t w_stride,
                                                  I (&dots)[M][kN]) {
      I part[M][kN];
      (add_group<first, i>(x, x_stride, w, w_stride, dots, part), ...);
    }

    // Where the next 32 inputs are.
    struct Place {
      const int8_t* x;
      const float* x_scales;
      const int32_t* x_sums;  // two for 32 inputs
      int64_t x_stride, block_stride;
      const uint8_t *w, *record;
      int64_t w_stride, record_stride;

      Place(const MatmulArgs& args, int64_t row, int64_t piece)
          : x_stride(args.x_stride), block_stride(args.x_stride / kQ8Block) {
        x = static_cast<const int8_t*>(args.x) + row * x_stride + 32 * piece;
        x_scales = args.x_scales + row * block_stride + piece;
        x_sums = args.x_sums + 2 * (row * block_stride + piece);
      }
      void advance(int64_t w_bytes) {
        x += 32;
        ++x_scales;
        x_sums += 2;
        w += w_bytes;
      }
    };
    static constexpr int panel_of(int j) { return j / kVectors<S>; }
    static constexpr int lane_of(int j) { return j % kVectors<S> * S::kLanes; }

    // What a record says once: its scale and minimum.
    struct Record {
      V scale[kN], min[kN];
    };
    [[gnu::always_inline]] static void load_record(const Place& at, Record& record) {
#pragma GCC unroll 32
      for (int j = 0; j < kN; ++j) {
        const uint8_t* from = at.record + panel_of(j) * at.record_stride + lane_of(j) * 2;
        record.scale[j] = S::load_f16(reinterpret_cast<const uint16_t*>(from));
        if constexpr (kShape.factor != 1) record.scale[j] = S::mul(record.scale[j], S::set1(kShape.factor));
        if constexpr (kShape.has_min) {
          record.min[j] = S::load_f16(reinterpret_cast<const uint16_t*>(from + kLayout.mins_at));
        }
      }
    }

    // What a step of the codes is worth in each group of 32 inputs, and what is to be taken off or added for
    // its sum of activations.
    struct Steps {
      V step[kSubs][kN], less[kSubs][kN];
    };
    [[gnu::always_inline]] static void load_steps(const Place& at, const Record& record, int piece,
                                                  Steps& steps) {
#pragma GCC unroll 2
      for (int sub = 0; sub < kSubs; ++sub) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          steps.step[sub][j] = record.scale[j];
          if constexpr (kShape.has_min) steps.less[sub][j] = record.min[j];
          if constexpr (kShape.has_scales) {
            const int64_t index =
                panel_of(j) * at.record_stride + (piece * kSubs + sub) * kPanel + lane_of(j);
            const uint8_t* small = at.record + kLayout.small_scales_at + index;
            steps.step[sub][j] = S::mul(record.scale[j], S::to_float(load_small<false>(small)));
            if constexpr (kShape.has_min) {
              const uint8_t* small_min = at.record + kLayout.small_mins_at + index;
              steps.less[sub][j] = S::mul(record.min[j], S::to_float(load_small<true>(small_min)));
            }
          }
        }
      }
    }
    template <bool high>
    [[gnu::always_inline]] static I load_small(const uint8_t* p) {
      if constexpr (kLayout.small_halves) return S::template load_halves<high>(p);
      return S::load_int8(reinterpret_cast<const int8_t*>(p));
    }
    [[gnu::always_inline]] static void load_ready_steps(const Ready<P>& ready, int64_t piece, Steps& steps) {
#pragma GCC unroll 2
      for (int sub = 0; sub < kSubs; ++sub) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          steps.step[sub][j] = S::load(ready.steps[panel_of(j)][piece][sub] + lane_of(j));
          if constexpr (kShape.has_min) {
            steps.less[sub][j] = S::load(ready.less[panel_of(j)][piece][sub] + lane_of(j));
          }
        }
      }
    }

    // The dots of one group under a scale, the sub-th of 32 inputs.
    template <int sub>
    [[gnu::always_inline]] static void dot_sub(const Place& at, I (&dots)[M][kN]) {
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
        const I start = S::set1_int(-kOffsetLeft * x_sum(at, m, sub));
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) dots[m][j] = start;
      }
      add_groups<sub * kGroups>(std::make_integer_sequence<int, kGroups>(), at.x, at.x_stride, at.w,
                                at.w_stride, dots);
    }
    [[gnu::always_inline]] static int32_t x_sum(const Place& at, int m, int sub) {
      const int32_t* two = at.x_sums + 2 * m * at.block_stride;
      return kSubs == 2 ? two[sub] : two[0] + two[1];
    }

    // 32 inputs.
    [[gnu::always_inline]] static void add_piece(const Place& at, const Steps& steps, V (&sums)[M][kN]) {
      I dots[M][kN];
      dot_sub<0>(at, dots);
      if constexpr (kSubs == 1) {
#pragma GCC unroll 32
        for (int m = 0; m < M; ++m) {
          const V x_scale = S::set1(at.x_scales[m * at.block_stride]);
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) {
            sums[m][j] = S::fma(S::to_float(dots[m][j]), S::mul(steps.step[0][j], x_scale), sums[m][j]);
          }
        }
      } else {
        I second[M][kN];
        dot_sub<1>(at, second);
#pragma GCC unroll 32
        for (int m = 0; m < M; ++m) {
          const V x_scale = S::set1(at.x_scales[m * at.block_stride]);
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) {
            const V first = S::mul(S::to_float(dots[m][j]), steps.step[0][j]);
            const V both = S::fma(S::to_float(second[m][j]), steps.step[1][j], first);
            sums[m][j] = S::fma(both, x_scale, sums[m][j]);
          }
        }
      }
      if constexpr (kShape.has_min) add_mins(at, steps, sums);
    }

    // The minimums times the sums of the activations; those of K types count down.
    [[gnu::always_inline]] static void add_mins(const Place& at, const Steps& steps, V (&sums)[M][kN]) {
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
        const float x_scale = at.x_scales[m * at.block_stride];
#pragma GCC unroll 2
        for (int sub = 0; sub < kSubs; ++sub) {
          const float number = x_scale * static_cast<float>(x_sum(at, m, sub));
          const V all = S::set1(kShape.has_scales ? -number : number);
#pragma GCC unroll 32
          for (int j = 0; j < kN; ++j) sums[m][j] = S::fma(steps.less[sub][j], all, sums[m][j]);
        }
      }
    }

    // With NoAhead a single panel asks for its own bytes, kAhead before they are needed.
    template <class Next>
    static void run(const MatmulArgs& args, int64_t row, int64_t panel, Next& ahead) {
      constexpr bool kAsks = std::is_same_v<Next, Ahead>, kAsksOwn = P == 1 && !kAsks;
      V sums[M][kN];
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
      }
      const int64_t n_record = args.n_in / kLayout.block;
      Place at(args, row, 0);
      place_weights(args, panel, 0, at);
      for (int64_t r = 0; r < n_record; ++r, at.record += kLayout.record_bytes) {
        Record record;
        load_record(at, record);
        if constexpr (kAsks) ahead.records.ask();
        if constexpr (kAsksOwn)
          ask_for<kLayout.record_bytes>(at.record + kRecordsAhead * kLayout.record_bytes);
        for (int piece = 0; piece < kPieces; ++piece) {
          if constexpr (kAsks) ahead.codes.ask();
          if constexpr (kAsksOwn) ask_for<kPieceBytes>(at.w + kAhead);
          Steps steps;
          load_steps(at, record, piece, steps);
          add_piece(at, steps, sums);
          at.advance(kPieceBytes);
        }
      }
      store_tile<S, M, P>(args, row, panel, sums);
    }
    static void place_weights(const MatmulArgs& args, int64_t panel, int64_t record, Place& at) {
      const int64_t n_record = args.n_in / kLayout.block;
      at.w_stride = n_record * kPieces * kPieceBytes;
      at.record_stride = n_record * kLayout.record_bytes;
      at.w = static_cast<const uint8_t*>(args.w) + panel * at.w_stride + record * kPieces * kPieceBytes;
      at.record = static_cast<const uint8_t*>(args.w_scales) + panel * at.record_stride +
                  record * kLayout.record_bytes;
    }

    // The pieces [begin, end) of the inputs, which are those of `ready`, on top of what y holds.
    static void run_ready(const MatmulArgs& args, int64_t row, int64_t panel, const Ready<P>& ready,
                          int64_t begin, int64_t end, Ahead& ahead) {
      V sums[M][kN];
      load_tile<S, M, P>(args, row, panel, begin == 0, sums);
      Place at(args, row, begin);
      at.w = ready.codes[0][0];
      at.w_stride = sizeof(ready.codes[0]);
      for (int64_t piece = 0; piece < end - begin; ++piece) {
        ahead.codes.ask();
        if (piece % kPieces == 0) ahead.records.ask();
        Steps steps;
        load_ready_steps(ready, piece, steps);
        add_piece(at, steps, sums);
        at.advance(kReadyBytes);
      }
      store_tile<S, M, P>(args, row, panel, sums);
    }
  };

  template <int M, int P>
  using DirectTile = Tile<M, P>;

  // Records [begin, end) of the P panels from `panel` on.
  template <int P>
  static void make_ready(const MatmulArgs& args, int64_t panel, int64_t begin, int64_t end, Ready<P>& ready) {
    using One = Tile<1, 1>;
    for (int64_t p = 0; p < P; ++p) {
      typename One::Place at(args, 0, 0);
      One::place_weights(args, panel + p, begin, at);
      for (int64_t piece = 0; piece < (end - begin) * kPieces; ++piece, at.w += kPieceBytes) {
        typename One::Record record;
        if (piece > 0 && piece % kPieces == 0) at.record += kLayout.record_bytes;
        One::load_record(at, record);
        typename One::Steps steps;
        One::load_steps(at, record, static_cast<int>(piece % kPieces), steps);
#pragma GCC unroll 32
        for (int j = 0; j < kVectors<S>; ++j) {
          const int lane = One::lane_of(j);
#pragma GCC unroll 2
          for (int sub = 0; sub < kSubs; ++sub) {
            S::store(ready.steps[p][piece][sub] + lane, steps.step[sub][j]);
            if constexpr (kShape.has_min) S::store(ready.less[p][piece][sub] + lane, steps.less[sub][j]);
          }
          store_codes(at.w + lane * 4, ready.codes[p][piece] + lane * 4,
                      std::make_integer_sequence<int, 8>());
        }
      }
    }
  }
  template <int... g>
  [[gnu::always_inline]] static void store_codes(const uint8_t* w, uint8_t* codes,
                                                 std::integer_sequence<int, g...>) {
    (S::store_bytes(codes + g * kLine, weights<g>(w)), ...);
  }

  // All rows of the panels from `panel` on, P at once and then fewer, in tiles of M rows.
  template <int M, int P>
  static void run_many_rows(const MatmulArgs& args, int64_t panel) {
    const int64_t n_record = args.n_in / kLayout.block;
    const int64_t n_stretch = std::max<int64_t>(1, (n_record + Ready<P>::kRecords - 1) / Ready<P>::kRecords);
    Ready<P> ready;
    for (; panel + P <= args.panel_end; panel += P) {
      Ahead ahead(args, panel + P, P, (args.n_rows + M - 1) / M);
      for (int64_t s = 0; s < n_stretch; ++s) {
        const int64_t begin = n_record * s / n_stretch, end = n_record * (s + 1) / n_stretch;
        make_ready(args, panel, begin, end, ready);
        for_row_tiles<M>(args.n_rows, [&]<int kRows>(int64_t row) {
          Tile<kRows, P, true>::run_ready(args, row, panel, ready, begin * kPieces, end * kPieces, ahead);
        });
      }
    }
    if constexpr (P > 1) run_many_rows<M, P / 2>(args, panel);
  }
};

// A pass of few rows waits for memory: panel by panel, so that the weights are one stream. More rows: tiles
// that use a weight in a register often.
template <class S, DType kType>
void matmul_blocks(const MatmulArgs& args) {
  using Product = BlockProduct<S, kType>;
  constexpr PackedLayout kLayout = Product::kLayout;
  // From a code in the file to a weight: worth doing once for so many rows.
  constexpr bool kManySteps = Product::kShape.values != nullptr || kLayout.pairs != 0 || kLayout.bits != 0;
  constexpr int64_t kManyRows = 32;
  constexpr bool kWide = kVectors<S> == 1;                       // 32 registers
  constexpr int kRows = kWide ? 4 : 2, kPanels = kWide ? 2 : 1;  // two sets of eight sums
  constexpr int kTall = kWide ? 6 : 2;                           // faster for a few passes
  if (args.n_rows <= kRows) return run_all<Product::template DirectTile, kRows, 1>(args);
  if (args.n_rows < kManyRows) return run_passes<Product, kTall, kPanels>(args);
  if constexpr (kManySteps) {
    Product::template run_many_rows<kRows, kPanels>(args, args.panel_begin);
  } else {
    run_passes<Product, kRows, kPanels>(args);
  }
}

}  // namespace volant::simd
