// Attention over packed sequences in libtorch's words: see aten.h. S sequences of L rows in one call.
#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ATen.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>

namespace volant::torch_ops::aten {
namespace {

// [S, H, L, d] of one group.
Tensor heads_of(const Tensor& x, const AttentionGroup& group, int64_t n_head, int64_t head_dim) {
  const Tensor rows = group.rows.defined() ? x.index_select(0, group.rows) : x;
  return rows.reshape({group.n_seq, group.length, n_head, head_dim}).transpose(1, 2);
}

// Keys and values of grouped queries, once for each query head.
Tensor repeated(const Tensor& x, int64_t n_head) {
  const int64_t n_kv_head = x.size(1);
  if (n_kv_head == n_head) return x;
  return x.unsqueeze(2)
      .expand({x.size(0), n_kv_head, n_head / n_kv_head, x.size(2), x.size(3)})
      .reshape({x.size(0), n_head, x.size(2), x.size(3)});
}

// Which keys a query sees, [L, L].
Tensor seen(const Tensor& beside, int64_t length, const AttentionSpec& spec) {
  const Tensor all = at::ones({length, length}, beside.options().dtype(at::kBool)), before = all.tril();
  return spec.window > 0 ? before.logical_and(all.triu(1 - spec.window)) : before;
}

Tensor by_scores(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSpec& spec) {
  Tensor scores = at::matmul(q.to(at::kFloat), k.to(at::kFloat).transpose(2, 3)) * spec.scale;
  if (spec.softcap > 0) scores = softcap(scores, spec.softcap);
  if (spec.causal)
    scores =
        scores.masked_fill(seen(q, q.size(2), spec).logical_not(), -std::numeric_limits<float>::infinity());
  return at::matmul(scores.softmax(-1), v.to(at::kFloat)).to(q.scalar_type());
}

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSpec& spec) {
#if __has_include(<ATen/ops/scaled_dot_product_attention.h>)
  if (spec.softcap == 0) {
    // It divides by sqrt(d) by itself.
    const double factor = static_cast<double>(spec.scale) * std::sqrt(static_cast<double>(spec.head_dim));
    const Tensor scaled = std::abs(factor - 1) < 1e-6 ? q : q * factor;
    if (spec.window > 0)
      return at::scaled_dot_product_attention(scaled, k, v, seen(q, q.size(2), spec), 0.0, false);
    return at::scaled_dot_product_attention(scaled, k, v, {}, 0.0, spec.causal);
  }
#endif
  return by_scores(q, k, v, spec);
}

}  // namespace

AttentionPlan attention_plan(const Tensor& beside, std::span<const int32_t> seq_begin, bool causal) {
  std::map<int64_t, std::vector<size_t>> by_length;
  for (size_t s = 0; s + 1 < seq_begin.size(); ++s) {
    const auto n = static_cast<uint32_t>(seq_begin[s + 1] - seq_begin[s]);
    if (n > 0) by_length[causal ? std::bit_ceil(n) : n].push_back(s);
  }
  const auto length_of = [&](size_t s) { return seq_begin[s + 1] - seq_begin[s]; };
  AttentionPlan plan;
  std::vector<int32_t> back(static_cast<size_t>(seq_begin.empty() ? 0 : seq_begin.back()));
  int32_t at = 0;
  bool in_order = by_length.size() == 1;
  for (const auto& [unused, sequences] : by_length) {
    int32_t longest = 0;
    for (const size_t s : sequences) longest = std::max(longest, length_of(s));
    std::vector<int32_t> rows;
    for (const size_t s : sequences) {
      in_order = in_order && length_of(s) == longest;
      for (int32_t i = 0; i < longest; ++i, ++at) {
        rows.push_back(seq_begin[s] + std::min(i, length_of(s) - 1));
        if (i < length_of(s)) back[static_cast<size_t>(seq_begin[s] + i)] = at;
      }
    }
    plan.groups.push_back({std::ssize(sequences), longest, ids_beside(beside, rows)});
  }
  if (in_order) {
    plan.groups.front().rows = Tensor();
  } else {
    plan.back = ids_beside(beside, back);
  }
  return plan;
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPlan& plan,
                 const AttentionSpec& spec) {
  std::vector<Tensor> parts;
  for (const AttentionGroup& group : plan.groups) {
    const Tensor y = attend(heads_of(q, group, spec.n_head, spec.head_dim),
                            repeated(heads_of(k, group, spec.n_kv_head, spec.head_dim), spec.n_head),
                            repeated(heads_of(v, group, spec.n_kv_head, spec.head_dim), spec.n_head), spec);
    parts.push_back(y.transpose(1, 2).reshape({group.n_seq * group.length, q.size(1)}));
  }
  const Tensor all = parts.size() == 1 ? parts.front() : at::cat(parts, 0);
  return plan.back.defined() ? all.index_select(0, plan.back) : all;
}

}  // namespace volant::torch_ops::aten
