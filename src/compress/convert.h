// The numbers of a tensor in another type.
#pragma once
#include <cstddef>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/tensor_view.h"

namespace volant {
// Row by row through f32; a copy when the type is the same. The columns must be a multiple of `to`'s block.
// `importance`, when not empty, weighs the error of each column. With `pool` the rows are shared out.
std::vector<std::byte> convert(const TensorView& view, DType to, std::span<const float> importance = {},
                               ThreadPool* pool = nullptr);
}  // namespace volant
