// Small helpers of the operations on libtorch tensors: how rows of f32 or bf16 numbers go to our loops.
#pragma once
#include "ops/torch/tensor.h"
// Above it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ops/empty.h>

#include <algorithm>
#include <initializer_list>

#include "ops/torch/kernels.h"

namespace volant::torch_ops {

inline bool is_bf16(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16; }
inline at::ScalarType type_of(bool bf16) { return bf16 ? at::kBFloat16 : at::kFloat; }
inline In in(const at::Tensor& x) { return {x.data_ptr(), is_bf16(x)}; }
inline Out out(at::Tensor& x) { return {x.data_ptr(), is_bf16(x)}; }
inline at::Tensor empty(int64_t rows, int64_t columns, bool bf16) {
  return at::empty({rows, columns}, type_of(bf16));
}

// The same numbers as f32 or bf16, outside the graph.
inline at::Tensor converted(const at::Tensor& x, bool bf16) {
  if (is_bf16(x) == bf16) return x;
  at::Tensor y = at::empty(x.sizes(), type_of(bf16));
  kernels().convert(in(x), x.numel(), out(y));
  return y;
}

// Whether the backward pass has anything to do below these.
inline bool learns(std::initializer_list<at::Tensor> inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& x) { return x.requires_grad(); });
}

}  // namespace volant::torch_ops
