// Weights in the order that kernels read them: panels of 16 outputs, in a panel input after input. The same
// layout for every instruction set. Outputs past the end are zero.
//   f32, f16   [panel, input, 16]
//   bf16       [panel, input / 2, 16, 2]   (inputs padded to even)
//   q8_0       [panel, input / 4, 16, 4] as value + 128, and f16 scales [panel, input / 32, 16]
#pragma once
#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace volant {

inline int64_t panel_count(int64_t n_out) { return (n_out + kPanel - 1) / kPanel; }
// Bytes of all panels, and of the scales that q8_0 has besides.
size_t packed_bytes(DType dtype, int64_t n_out, int64_t n_in);
size_t packed_scale_bytes(DType dtype, int64_t n_out, int64_t n_in);
// Packs the panels [panel_begin, panel_end) of rows [n_out, n_in] in `dtype`'s own layout (any alignment).
void pack_panels(DType dtype, const void* rows, int64_t n_out, int64_t n_in, int64_t panel_begin,
                 int64_t panel_end, void* packed, uint16_t* scales);
// Output `row` of packed weights as n_in numbers: the embedding of a token.
void unpack_row(DType dtype, const void* packed, const uint16_t* scales, int64_t n_in, int64_t row,
                float* out);

}  // namespace volant
