// Rows of numbers, sequences that become one row, and rows side by side.
#include "ops/torch/rows.h"
// Above it: rows.h keeps a macro of libtorch's headers away.
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "ops/torch/autograd.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::converted;
using torch_ops::is_bf16;
using torch_ops::kernels;
using torch_ops::learns;
using torch_ops::with_backward;
using Gradients = std::vector<Tensor>;

float* from_row(const Tensor& x, int64_t row) { return x.data_ptr<float>() + row * x.size(1); }

}  // namespace

TorchOps::Act TorchOps::features(const Batch& batch) {
  Act x = make_act(batch.features, batch.n_rows(), record_ && learns_inputs_);
  if (learns_inputs_) inputs_ = x.x();
  return x;
}

void TorchOps::learn_inputs(const Batch& batch) {
  learns_inputs_ = record_;
  learned_tokens_ = batch.tokens.data();
}

std::vector<float> TorchOps::input_gradient() const {
  if (!inputs_.defined() || !inputs_.grad().defined()) return {};
  return numbers({inputs_.grad().contiguous()});
}

TorchOps::Act TorchOps::pool_rows(const Act& x_in, const Batch& batch, RowPool how) {
  const Tensor x = converted(x_in.x().detach(), false);
  const int64_t n_seq = batch.n_seq(), columns = x.size(1), rows = x.size(0);
  Tensor y = torch_ops::empty(n_seq, columns, false);
  auto chosen = std::make_shared<std::vector<int32_t>>();  // of kMax: the row of each number
  if (how == RowPool::kMax) chosen->resize(static_cast<size_t>(n_seq * columns));
  const std::vector<int32_t> begins(batch.seq_begin.begin(), batch.seq_begin.end());
#pragma omp parallel for
  for (int64_t s = 0; s < n_seq; ++s) {
    const int64_t begin = begins[static_cast<size_t>(s)], end = begins[static_cast<size_t>(s) + 1];
    float* to = from_row(y, s);
    std::copy_n(from_row(x, how == RowPool::kLast ? end - 1 : begin), columns, to);
    if (how == RowPool::kLast) continue;
    int32_t* best = how == RowPool::kMax ? chosen->data() + s * columns : nullptr;
    if (best != nullptr) std::fill_n(best, columns, static_cast<int32_t>(begin));
    for (int64_t r = begin + 1; r < end; ++r) {
      const float* from = from_row(x, r);
      for (int64_t i = 0; i < columns; ++i) {
        if (how == RowPool::kMean) {
          to[i] += from[i];
        } else if (to[i] < from[i]) {
          to[i] = from[i];
          best[i] = static_cast<int32_t>(r);
        }
      }
    }
    const float share = how == RowPool::kMean ? 1.0F / static_cast<float>(end - begin) : 1.0F;
    for (int64_t i = 0; i < columns; ++i) to[i] *= share;
  }
  if (!record_ || !learns({x_in.x()})) return {y};
  return {with_backward(y, {x_in.x()}, [=, bf16 = is_bf16(x_in.x())](const Tensor& grad) {
    const Tensor g = converted(grad, false);
    Tensor grad_x = at::zeros({rows, columns}, at::kFloat);
    for (int64_t s = 0; s < n_seq; ++s) {
      const int64_t begin = begins[static_cast<size_t>(s)], end = begins[static_cast<size_t>(s) + 1];
      const float* from = from_row(g, s);
      const float share = 1.0F / static_cast<float>(end - begin);
      if (how == RowPool::kMean)
        for (int64_t r = begin; r < end; ++r)
          for (int64_t i = 0; i < columns; ++i) from_row(grad_x, r)[i] = from[i] * share;
      if (how == RowPool::kMax)
        for (int64_t i = 0; i < columns; ++i)
          from_row(grad_x, (*chosen)[static_cast<size_t>(s * columns + i)])[i] = from[i];
      if (how == RowPool::kLast) std::copy_n(from, columns, from_row(grad_x, end - 1));
    }
    return Gradients{converted(grad_x, bf16)};
  })};
}

TorchOps::Act TorchOps::join_columns(const Act& x, const Act& y) {
  const bool bf16 = is_bf16(x.x()), y_bf16 = is_bf16(y.x());
  const Tensor a = x.x().detach(), b = converted(y.x().detach(), bf16);
  const int64_t rows = a.size(0), n_a = a.size(1), n_b = b.size(1);
  CHECK(b.size(0) == rows);
  Tensor joined = torch_ops::empty(rows, n_a + n_b, bf16);
  kernels().copy_columns(torch_ops::in(a), n_a, 0, rows, n_a, torch_ops::out(joined), n_a + n_b, 0);
  kernels().copy_columns(torch_ops::in(b), n_b, 0, rows, n_b, torch_ops::out(joined), n_a + n_b, n_a);
  if (!record_ || !learns({x.x(), y.x()})) return {joined};
  return {with_backward(joined, {x.x(), y.x()}, [rows, n_a, n_b, bf16, y_bf16](const Tensor& grad) {
    const Tensor g = converted(grad, bf16);
    Tensor grad_a = torch_ops::empty(rows, n_a, bf16), grad_b = torch_ops::empty(rows, n_b, bf16);
    kernels().copy_columns(torch_ops::in(g), n_a + n_b, 0, rows, n_a, torch_ops::out(grad_a), n_a, 0);
    kernels().copy_columns(torch_ops::in(g), n_a + n_b, n_a, rows, n_b, torch_ops::out(grad_b), n_b, 0);
    return Gradients{grad_a, converted(grad_b, y_bf16)};
  })};
}

}  // namespace volant
