// The operations of TorchOps in libtorch's own words: plain formulas on tensors of any device, whose
// gradients are libtorch's autograd. What a GPU runs; on a CPU the kernels are faster (kernels.h). Numbers
// that go into products have `type`, f32 or bf16; sums, norms and losses are formed in f32. T rows, D
// columns, H heads, K key/value heads, d head_dim, E experts, V vocabulary.
#pragma once
#include "ops/torch/tensor.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ops/batch.h"
#include "ops/ops.h"
#include "ops/torch/backend.h"
#include "ops/torch/parameter.h"

namespace volant::torch_ops::aten {

using at::Tensor;
using Weight = std::shared_ptr<TorchParameter>;

// f32 numbers where the backend has its own.
at::TensorOptions options_of(TorchBackend backend);
// Copies on the device of `beside`: ids as they are, numbers as f32.
Tensor ids_beside(const Tensor& beside, std::span<const int32_t> ids);
Tensor numbers_beside(const Tensor& beside, std::span<const float> numbers);

// The numbers of a weight as `type`; in the graph with `record`, where it is trained: its gradient is added
// to w->grad.
Tensor numbers_of(const Weight& w, at::ScalarType type, bool record);

Tensor embed(const Weight& w, std::span<const int32_t> ids, bool record);
// With the adapter of `w`, unless `base_alone`; dropout goes by `seed`, 0: none.
Tensor linear(const Tensor& x, const Weight& w, at::ScalarType type, bool record, uint64_t seed,
              bool base_alone);
// |W + scale B A| of each row of a matrix with its adapter.
std::vector<float> adapted_norms(const TorchParameter& w);
Tensor rms_norm(const Tensor& x, const Tensor& w, float eps, float offset, at::ScalarType type);
Tensor layer_norm(const Tensor& x, const Tensor& w, const Tensor& b, float eps, at::ScalarType type);
Tensor silu_mul(const Tensor& gate, const Tensor& up);
Tensor gelu(const Tensor& x, Gelu kind);
Tensor softcap(const Tensor& x, float cap);
Tensor dropout(const Tensor& x, float p, uint64_t seed);

// cos and sin of each row, [T, 1, pairs], from a table [positions, 2 * pairs] with cos first.
struct Turn {
  Tensor cos, sin;
};
Turn turn_of(const Tensor& beside, std::span<const float> table, std::span<const int32_t> pos, int64_t pairs);
Tensor rope(const Tensor& x, const Turn& turn, const RopeSpec& spec);

// Sequences of one call of attention, side by side: [S, L] rows of the batch.
struct AttentionGroup {
  int64_t n_seq = 0, length = 0;
  Tensor rows;  // S * L; undefined: all rows as they stand
};
// How the sequences of a batch go through attention. Sequences of about one length (of exactly one, unless
// causal) share a call; the shorter ones are filled up at their end with rows that no row looks at.
struct AttentionPlan {
  std::vector<AttentionGroup> groups;
  Tensor back;  // T: where each row stands among the groups' rows; undefined: in order
};
AttentionPlan attention_plan(const Tensor& beside, std::span<const int32_t> seq_begin, bool causal);
// Flash attention where libtorch has it (2.0 on), unless a softcap wants the scores.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPlan& plan,
                 const AttentionSpec& spec);

// The weights [T, k] of the chosen experts, from the router's logits [T, E].
Tensor route_weights(const Tensor& logits, const Routing& routing);
Tensor combine(std::span<const Tensor> parts, const Tensor& weights, const Routing& routing);

// What later operations of a pass need again: it follows from the batch alone.
struct Memo {
  struct Turned {
    const int32_t* pos;
    std::vector<float> inv_freq;
    float scale;
    Turn turn;
  };
  std::vector<Turned> turns;
  struct Planned {
    const int32_t* seq_begin;
    bool causal;
    AttentionPlan plan;
  };
  std::vector<Planned> plans;
};

// Logits [T, V] in f32.
Tensor head_logits(const Tensor& x, const LmHead<Weight>& head, at::ScalarType type, bool record);
// -log p(target) of each row, with label smoothing and z-loss as in LossRows (kernels.h).
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, float label_smoothing, float z_loss);
// temperature^2 KL(teacher || student) of each row, as in DistilRows (kernels.h).
Tensor distance(const Tensor& logits, const Tensor& teacher, float temperature, int64_t top_k);

// FLOP/s of a large product, measured now.
double measured_peak_flops(TorchBackend backend, bool bf16);

}  // namespace volant::torch_ops::aten
