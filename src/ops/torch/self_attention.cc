// Attention of a batch to itself: q, k and v as three matrices, or as columns of one that holds nothing else,
// which are then read, and their gradients written, where they lie.
#include <algorithm>
#include <memory>

#include "base/check.h"
#include "ops/torch/autograd.h"
#include "ops/torch/kernels.h"
#include "ops/torch/rows.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::converted;
using torch_ops::empty;
using torch_ops::In;
using torch_ops::is_bf16;
using torch_ops::kernels;
using torch_ops::learns;
using torch_ops::Out;
using torch_ops::out;
using torch_ops::with_backward;

// q, k and v side by side fill one matrix.
bool are_joined(const TorchAct& q, const TorchAct& k, const TorchAct& v) {
  const auto *a = q.columns(), *b = k.columns(), *c = v.columns();
  if (a == nullptr || b == nullptr || c == nullptr) return false;
  return a->whole.is_same(b->whole) && a->whole.is_same(c->whole) && a->begin == 0 && b->begin == a->count &&
         c->begin == a->count + b->count && c->begin + c->count == a->whole.size(1);
}

// q, k and v, or what has their shapes.
struct Factors {
  std::vector<Tensor> matrices;  // three, or one with the columns of all
  int64_t q_columns = 0, kv_columns = 0;

  bool joined() const { return matrices.size() == 1; }
  bool bf16() const { return is_bf16(matrices[0]); }
  Out at(int i) {
    if (!joined()) return out(matrices[static_cast<size_t>(i)]);
    const int64_t before = i == 0 ? 0 : q_columns + (i - 1) * kv_columns;
    return {static_cast<char*>(matrices[0].data_ptr()) + before * (bf16() ? 2 : 4), bf16()};
  }
  In in(int i) { return {at(i).data, bf16()}; }
  Factors room() const {
    Factors same = *this;
    for (Tensor& m : same.matrices) m = empty(m.size(0), m.size(1), bf16());
    return same;
  }
};

}  // namespace

TorchOps::Act TorchOps::attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                  const AttentionSpec& spec) {
  CHECK(!batch.cached());  // training has no cache
  CHECK(spec.causal || spec.window == 0);
  if (aten_)
    return {torch_ops::aten::attention(q.x(), k.x(), v.x(), plan_of(q.x(), batch, spec.causal), spec)};
  std::vector<Tensor> inputs;
  if (are_joined(q, k, v))
    inputs = {q.columns()->whole};
  else
    inputs = {q.x(), k.x(), v.x()};
  const bool bf16 = is_bf16(inputs[0]);
  Factors factors{.matrices = {},
                  .q_columns = int64_t{spec.n_head} * spec.head_dim,
                  .kv_columns = int64_t{spec.n_kv_head} * spec.head_dim};
  for (const Tensor& input : inputs) factors.matrices.push_back(converted(input.detach(), bf16));
  const int64_t rows = inputs[0].size(0);
  auto seq_begin =
      std::make_shared<const std::vector<int32_t>>(batch.seq_begin.begin(), batch.seq_begin.end());
  const torch_ops::AttentionShape shape{.seq_begin = seq_begin->data(),
                                        .n_seq = batch.n_seq(),
                                        .n_rows = rows,
                                        .n_head = spec.n_head,
                                        .n_kv_head = spec.n_kv_head,
                                        .head_dim = spec.head_dim,
                                        .scale = spec.scale,
                                        .softcap = spec.softcap,
                                        .window = spec.window,
                                        .causal = spec.causal,
                                        .stride = factors.joined() ? inputs[0].size(1) : 0};
  Tensor y = empty(rows, factors.q_columns, bf16), log_sum = at::empty({rows, spec.n_head}, at::kFloat);
  kernels().attention(shape, factors.in(0), factors.in(1), factors.in(2), out(y), log_sum.data_ptr<float>());
  if (!record_ || std::none_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return learns({x}); }))
    return {y};
  return {with_backward(
      y, inputs, [shape, factors, seq_begin, log_sum, kept = y.detach()](const Tensor& grad) mutable {
        const Tensor g = converted(grad, is_bf16(kept));
        Factors grads = factors.room();
        (void)seq_begin;  // `shape` points into it
        kernels().attention_backward(shape, factors.in(0), factors.in(1), factors.in(2), torch_ops::in(kept),
                                     log_sum.data_ptr<float>(), torch_ops::in(g), grads.at(0), grads.at(1),
                                     grads.at(2));
        return grads.matrices;
      })};
}

}  // namespace volant
