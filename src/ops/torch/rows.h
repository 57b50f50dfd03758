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

// Rows of logits at a time, in parts of about one size: enough for fast products, few enough for memory
// (at most 270 MB).
inline int64_t rows_of_logits(int64_t rows, int64_t n_vocab, bool bf16) {
  const int64_t numbers = bf16 ? 1 << 27 : 1 << 25;
  const int64_t most = std::max<int64_t>(256, numbers / n_vocab), parts = (rows + most - 1) / most;
  return std::min(rows, ((rows + parts - 1) / parts + 63) / 64 * 64);
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
