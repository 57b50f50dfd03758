// Products of int8 activations with quantised weights: whole numbers within a group that shares a scale,
// scaled and added in f32. One text for all block types: what differs (bits of a code, planes, size of a
// group, table, minimum) is a constant of the type.
//
// A vector type S gives, besides arithmetic on floats:
//   load_bytes, set1_byte, bit_and, bit_or, shift<n>   whole vectors; n > 0 is to the left, in 16-bit lanes
//   load_table, lookup                                 16 bytes by codes
//   set1_bytes                                         4 activations in every lane
//   load_int8, load_halves, mul_int, add_int           int32 lanes
//   kUnsigned                                          dot<m> takes weights above 127 as they are; otherwise
//                                                      it takes 128 off them
//   kFolds<m>                                          dots of weights up to m that may follow each other
//   dot_begin, dot<m>, dot_end<m>                      sum over them
#pragma once
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

  template <int M, int P>
  struct Tile {
    static constexpr int kN = P * kVectors<S>;
    static constexpr int kFold = std::min(kGroups, S::template kFolds<kMost>);
    static_assert(kGroups % kFold == 0);
    static constexpr bool kStream = M == 1 && P == 1;
    static constexpr int kRecordsAhead = kAhead / (kPieceBytes * kPieces);

    // The next group of inputs into the dots of all cells.
    template <int first, int i>
    [[gnu::always_inline]] static void add_group(const int8_t* x, int64_t x_stride, const uint8_t* w,
                                                 int64_t w_stride, I (&dots)[M][kN], I (&part)[M][kN]) {
      constexpr int g = first + i;
      I weight[kN];
#pragma GCC unroll 32
      for (int j = 0; j < kN; ++j) {
        weight[j] = weights<g>(w + j / kVectors<S> * w_stride + j % kVectors<S> * (S::kLanes * 4));
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

    struct Place {
      const int8_t* x;
      const float* x_scales;
      const int32_t* x_sums;  // two for 32 inputs
      int64_t x_stride, block_stride;
      const uint8_t *w, *record;
      int64_t w_stride, record_stride;
    };

    // What a record says once: its scale and minimum.
    struct Record {
      V scale[kN], min[kN];
    };
    [[gnu::always_inline]] static void load_record(const Place& at, Record& record) {
#pragma GCC unroll 32
      for (int j = 0; j < kN; ++j) {
        const uint8_t* from = at.record + j / kVectors<S> * at.record_stride + lane_of(j) * 2;
        record.scale[j] = S::load_f16(reinterpret_cast<const uint16_t*>(from));
        if constexpr (kShape.factor != 1) record.scale[j] = S::mul(record.scale[j], S::set1(kShape.factor));
        if constexpr (kShape.has_min) {
          record.min[j] = S::load_f16(reinterpret_cast<const uint16_t*>(from + kLayout.mins_at));
        }
      }
    }
    static constexpr int lane_of(int j) { return j % kVectors<S> * S::kLanes; }

    // Small scales of vector j; `index` counts within the record.
    [[gnu::always_inline]] static I small_scale(const Place& at, int index, int j) {
      const uint8_t* p = at.record + j / kVectors<S> * at.record_stride + kLayout.small_scales_at +
                         index * kPanel + lane_of(j);
      if constexpr (kLayout.small_halves) return S::template load_halves<false>(p);
      return S::load_int8(reinterpret_cast<const int8_t*>(p));
    }
    [[gnu::always_inline]] static I small_min(const Place& at, int index, int j) {
      const uint8_t* p = at.record + j / kVectors<S> * at.record_stride + kLayout.small_mins_at +
                         index * kPanel + lane_of(j);
      if constexpr (kLayout.small_halves) return S::template load_halves<true>(p);
      return S::load_int8(reinterpret_cast<const int8_t*>(p));
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

    // 32 inputs, piece `piece` of the record: products with the small scales are whole numbers still.
    [[gnu::always_inline]] static void add_piece(const Place& at, const Record& record, int piece,
                                                 V (&sums)[M][kN]) {
      I dots[M][kN];
      dot_sub<0>(at, dots);
      if constexpr (kShape.has_scales) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          const I small = small_scale(at, piece * kSubs, j);
#pragma GCC unroll 32
          for (int m = 0; m < M; ++m) dots[m][j] = S::mul_int(dots[m][j], small);
        }
      }
      if constexpr (kSubs == 2) {
        I second[M][kN];
        dot_sub<1>(at, second);
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          const I small = small_scale(at, piece * kSubs + 1, j);
#pragma GCC unroll 32
          for (int m = 0; m < M; ++m) dots[m][j] = S::add_int(dots[m][j], S::mul_int(second[m][j], small));
        }
      }
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
        const V x_scale = S::set1(at.x_scales[m * at.block_stride]);
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) {
          sums[m][j] = S::fma(S::to_float(dots[m][j]), S::mul(record.scale[j], x_scale), sums[m][j]);
        }
      }
      if constexpr (kShape.has_min) add_mins(at, record, piece, sums);
    }

    // The minimums times the sums of the activations.
    [[gnu::always_inline]] static void add_mins(const Place& at, const Record& record, int piece,
                                                V (&sums)[M][kN]) {
#pragma GCC unroll 32
      for (int j = 0; j < kN; ++j) {
        I small[kSubs];
        if constexpr (kShape.has_scales) {
#pragma GCC unroll 2
          for (int sub = 0; sub < kSubs; ++sub) small[sub] = small_min(at, piece * kSubs + sub, j);
        }
#pragma GCC unroll 32
        for (int m = 0; m < M; ++m) {
          const float x_scale = at.x_scales[m * at.block_stride];
          if constexpr (kShape.has_scales) {
            I whole = S::mul_int(small[0], S::set1_int(x_sum(at, m, 0)));
            if constexpr (kSubs == 2) {
              whole = S::add_int(whole, S::mul_int(small[1], S::set1_int(x_sum(at, m, 1))));
            }
            sums[m][j] = S::fma(S::to_float(whole), S::mul(record.min[j], S::set1(-x_scale)), sums[m][j]);
          } else {
            const float x_number = x_scale * static_cast<float>(x_sum(at, m, 0));
            sums[m][j] = S::fma(record.min[j], S::set1(x_number), sums[m][j]);
          }
        }
      }
    }

    static void run(const MatmulArgs& args, int64_t row, int64_t panel) {
      V sums[M][kN];
#pragma GCC unroll 32
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 32
        for (int j = 0; j < kN; ++j) sums[m][j] = S::zero();
      }
      const int64_t n_piece = args.n_in / 32, n_record = args.n_in / kLayout.block;
      Place at;
      at.x_stride = args.x_stride;
      at.block_stride = args.x_stride / kQ8Block;
      at.x = static_cast<const int8_t*>(args.x) + row * at.x_stride;
      at.x_scales = args.x_scales + row * at.block_stride;
      at.x_sums = args.x_sums + 2 * row * at.block_stride;
      at.w_stride = n_piece * kPieceBytes;
      at.record_stride = n_record * kLayout.record_bytes;
      at.w = static_cast<const uint8_t*>(args.w) + panel * at.w_stride;
      at.record = static_cast<const uint8_t*>(args.w_scales) + panel * at.record_stride;
      for (int64_t r = 0; r < n_record; ++r, at.record += kLayout.record_bytes) {
        Record record;
        load_record(at, record);
        if constexpr (kStream)
          ask_for<kLayout.record_bytes>(at.record + kRecordsAhead * kLayout.record_bytes);
        for (int piece = 0; piece < kPieces; ++piece) {
          if constexpr (kStream) ask_for<kPieceBytes>(at.w + kAhead);
          add_piece(at, record, piece, sums);
          at.x += 32;
          ++at.x_scales;
          at.x_sums += 2;
          at.w += kPieceBytes;
        }
      }
      store_tile<S, M, P>(args, row, panel, sums);
    }
  };
};

template <class S, DType kType>
void matmul_blocks(const MatmulArgs& args) {
  using Product = BlockProduct<S, kType>;
  if constexpr (kVectors<S> == 1) {  // 32 registers: two sets of eight sums
    if (args.n_rows == 1) return run_all<Product::template Tile, 1, 1>(args);
    if (args.n_rows == 2) return run_all<Product::template Tile, 2, 4>(args);
    return run_all<Product::template Tile, 4, 2>(args);
  } else {
    if (args.n_rows == 1) return run_all<Product::template Tile, 1, 1>(args);
    return run_all<Product::template Tile, 2, 1>(args);
  }
}

}  // namespace volant::simd
