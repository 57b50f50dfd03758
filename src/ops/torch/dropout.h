// Dropout (Srivastava et al. 2014) with a mask that follows from a seed and the place of a number alone, so
// that the backward pass makes it again and a resumed run draws the same.
#pragma once
#include <cstdint>

#include "ops/torch/tensor.h"

namespace volant::torch_ops {

// to = x * mask / (1 - p), 0 <= p < 1; of one type and shape. `to` may be x.
void drop(const at::Tensor& x, float p, uint64_t seed, at::Tensor& to);

}  // namespace volant::torch_ops
