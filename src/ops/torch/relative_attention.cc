// Attention with a learned bias by distance, and attention to a source (T5), by libtorch's own autograd: one
// product for each sequence, scores in full. Nothing here is fast beyond that.
// clang-format off: tensor.h keeps a macro of libtorch's headers away, so it stands first
#include "ops/torch/tensor.h"
// clang-format on
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <numeric>

#include "base/check.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using at::Tensor;

// Rows [begin, end) of x [T, H * d] as [H, rows, d] in f32.
Tensor heads(const Tensor& x, int64_t begin, int64_t end, const AttentionSpec& spec) {
  return x.slice(0, begin, end)
      .to(at::kFloat)
      .reshape({end - begin, spec.n_head, spec.head_dim})
      .transpose(0, 1);
}

// softmax(q k^T * scale + bias) v for one sequence: [rows, H * d]. `bias` is undefined, or [H, rows, keys].
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSpec& spec,
              const Tensor& bias) {
  Tensor scores = q.matmul(k.transpose(1, 2));
  if (spec.scale != 1) scores = scores.mul(spec.scale);
  if (bias.defined()) scores = scores.add(bias);
  return scores.softmax(-1).matmul(v).transpose(0, 1).reshape(
      {q.size(1), int64_t{spec.n_head} * spec.head_dim});
}

}  // namespace

TorchOps::Act TorchOps::relative_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                           const AttentionSpec& spec, const RelativeBias<Weight>& relative) {
  CHECK(batch.kv_slot.empty() && spec.n_head == spec.n_kv_head && spec.window == 0 && spec.softcap == 0);
  std::vector<int32_t> all(static_cast<size_t>(relative.n_bucket));
  std::iota(all.begin(), all.end(), 0);
  const Tensor table = embed(*relative.weight, all).x();
  std::vector<Tensor> parts;
  for (int64_t s = 0; s < batch.n_seq(); ++s) {
    const int64_t begin = batch.seq_begin[static_cast<size_t>(s)],
                  end = batch.seq_begin[static_cast<size_t>(s) + 1];
    const int64_t n = end - begin;
    if (n == 0) continue;
    Tensor buckets = at::empty({n * n}, at::kLong), hidden = at::zeros({n, n}, at::kFloat);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        buckets.data_ptr<int64_t>()[i * n + j] =
            relative_bucket(j - i, relative.n_bucket, relative.max_distance, relative.both_ways);
        if (spec.causal && j > i)
          hidden.data_ptr<float>()[i * n + j] = -std::numeric_limits<float>::infinity();
      }
    const Tensor bias = table.index_select(0, buckets.to(table.device()))
                            .reshape({n, n, spec.n_head})
                            .permute({2, 0, 1})
                            .add(hidden.to(table.device()));
    parts.push_back(attend(heads(q.x(), begin, end, spec), heads(k.x(), begin, end, spec),
                           heads(v.x(), begin, end, spec), spec, bias));
  }
  return {at::cat(parts, 0).to(q.x().scalar_type())};
}

TorchOps::Act TorchOps::cross_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                                        const AttentionSpec& spec) {
  CHECK(batch.kv_slot.empty() && spec.n_head == spec.n_kv_head);
  std::vector<Tensor> parts;
  for (int64_t s = 0; s < batch.n_seq(); ++s) {
    const auto i = static_cast<size_t>(s);
    if (batch.seq_begin[i] == batch.seq_begin[i + 1]) continue;
    const int64_t begin = batch.source.seq_begin[i], end = batch.source.seq_begin[i + 1];
    parts.push_back(attend(heads(q.x(), batch.seq_begin[i], batch.seq_begin[i + 1], spec),
                           heads(k.x(), begin, end, spec), heads(v.x(), begin, end, spec), spec, Tensor()));
  }
  return {at::cat(parts, 0).to(q.x().scalar_type())};
}

TorchOps::Act TorchOps::relu(const Act& x) { return {x.x().relu()}; }

}  // namespace volant
