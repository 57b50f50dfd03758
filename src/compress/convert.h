// The numbers of a tensor in another type.
#pragma once
#include <cstddef>
#include <vector>

#include "tensor/tensor_view.h"

namespace volant {
// Row by row through f32; a copy when the type is the same. The columns must be a multiple of `to`'s block.
std::vector<std::byte> convert(const TensorView& view, DType to);
}  // namespace volant
