// Numbers in the memory of a backend as a tensor: for those who hand them to libtorch.
#pragma once
#include <span>

#include "ops/torch/backend.h"
#include "ops/torch/tensor.h"

namespace volant::torch_ops {

// In place: [numbers.size()], f32. The numbers outlive it.
at::Tensor tensor_at(TorchBackend where, std::span<const float> numbers);

}  // namespace volant::torch_ops
