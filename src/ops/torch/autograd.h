// A tensor with its own backward:
// all that Volant needs of libtorch's autograd, kept away from its heavy headers.
#pragma once
#include <functional>
#include <vector>

#include "ops/torch/tensor.h"

namespace volant::torch_ops {

// From the gradient of the result: the gradients of the inputs, in order.
using Backward = std::function<std::vector<at::Tensor>(const at::Tensor& grad)>;

// `result` as a function of `inputs` in the autograd graph. The graph keeps what `backward` holds until it
// has run. With no inputs it is a leaf of the graph whose `backward` keeps its gradients elsewhere (weights).
at::Tensor with_backward(at::Tensor result, const std::vector<at::Tensor>& inputs, Backward backward);

// Runs the graph behind `result` (one number) backwards, with gradient 1.
void run_backward(const at::Tensor& result);
// From inside of a `backward`: that of `result` by `input`, a leaf that asks for its gradient, when the
// gradient of `result` is `grad`. Undefined when nothing leads there.
at::Tensor run_backward(const at::Tensor& result, const at::Tensor& grad, const at::Tensor& input);

}  // namespace volant::torch_ops
