// Weights in the order that kernels read them: panels of 16 outputs, in a panel input after input. The same
// layout for every instruction set, and no more bits than the file has. Outputs past the end are zero.
//   f32, f16   [panel, input, 16]
//   bf16       [panel, input / 2, 16, 2]   (inputs padded to even)
//   quantised  codes [panel, input / 32, 64 * bits bytes] and scales [panel, input / block, record]
//
// Codes of 32 inputs are 8 groups of 4. A byte of a plane belongs to an output (64 bytes are 16 outputs with
// 4 inputs each); a type has the planes that its bits add up to, lowest bits first:
//   bytes    8 lines of 64 bytes: line g is group g
//   nibbles  4 lines: line q is group 2q in the low halves, 2q + 1 in the high halves
//   pairs    2 lines: line h is groups 4h to 4h + 3, two bits each, from the lowest
//   bits     1 line: bit g is of group g
// A record of scales: 16 f16 scales; 16 f16 minimums (has_min); in K types the small scales [block / sub, 16]
// and minimums [block / sub, 16], in q2_K as two halves of one byte.
#pragma once
#include "kernels/kernels.h"
#include "tensor/block.h"

namespace volant {

struct PackedLayout {
  int bytes = 0, nibbles = 0, pairs = 0, bits = 0;          // how many lines of each plane
  int pairs_at = 0, bits_at = 0;                            // bytes from the start of the 32 inputs' codes
  int pairs_shift = 0, bits_shift = 0;                      // where the plane's bits belong in a code
  int block = 32;                                           // inputs of a record
  int mins_at = 0, small_scales_at = 0, small_mins_at = 0;  // bytes from the start of the record
  bool small_halves = false;                                // scale and minimum share a byte
  int record_bytes = 0;
};

constexpr PackedLayout packed_layout(DType dtype) {
  const BlockShape shape = block_shape(dtype);
  PackedLayout layout;
  layout.bytes = shape.bits == 8 ? 8 : 0;
  layout.nibbles = shape.bits >= 4 && shape.bits < 8 ? 4 : 0;
  const int above = shape.bits % 4;  // bits over the nibbles
  layout.pairs = above >= 2 ? 2 : 0;
  layout.bits = above % 2 == 1 ? 1 : 0;
  layout.pairs_at = 64 * layout.nibbles;
  layout.pairs_shift = layout.nibbles;
  layout.bits_at = layout.pairs_at + 64 * layout.pairs;
  layout.bits_shift = layout.nibbles + layout.pairs;
  const int per_output = static_cast<int>(kPanel);
  layout.block = shape.has_scales ? kMaxBlock : 32;
  layout.mins_at = 2 * per_output;
  layout.record_bytes = layout.mins_at + (shape.has_min ? 2 * per_output : 0);
  if (shape.has_scales) {
    const int small = layout.block / shape.sub * per_output;
    layout.small_scales_at = layout.record_bytes;
    layout.small_halves = shape.has_min && shape.sub == 16;
    layout.small_mins_at = layout.small_scales_at + (layout.small_halves ? 0 : small);
    layout.record_bytes += small + (shape.has_min && !layout.small_halves ? small : 0);
  }
  return layout;
}

inline int64_t panel_count(int64_t n_out) { return (n_out + kPanel - 1) / kPanel; }
// Bytes of all panels, and of the scales that quantised types have besides.
size_t packed_bytes(DType dtype, int64_t n_out, int64_t n_in);
size_t packed_scale_bytes(DType dtype, int64_t n_out, int64_t n_in);
// Packs the panels [panel_begin, panel_end) of rows [n_out, n_in] in `dtype`'s own layout (any alignment).
void pack_panels(DType dtype, const void* rows, int64_t n_out, int64_t n_in, int64_t panel_begin,
                 int64_t panel_end, void* packed, void* scales);
// Output `row` of packed weights as n_in numbers: the embedding of a token.
void unpack_row(DType dtype, const void* packed, const void* scales, int64_t n_in, int64_t row, float* out);

// The 32 codes of output `lane` from the panel's codes of these 32 inputs.
void unpack_codes(const PackedLayout& layout, const uint8_t* packed, int64_t lane, uint8_t* codes);
// Scale, minimum and their small ones of output `lane`, from a record.
void unpack_scales(DType dtype, const uint8_t* record, int64_t lane, Block& block);

}  // namespace volant
