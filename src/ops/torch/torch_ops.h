// TorchOps: the operations of ops/ops.h on libtorch tensors with autograd, for training. On a
// CPU products go through oneDNN with packed weights and the rest are our own loops; on a GPU
// all is libtorch's own (aten.h). In bf16 the residual stream, the weights and all sums stay f32; what goes
// into products is rounded to bf16. Gradients of weights are added up in f32 beside the weights. Exceptions
// of libtorch and oneDNN pass through: models/instances/torch.cc is the edge that catches them.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ops/batch.h"
#include "ops/ops.h"
#include "ops/torch/act.h"
#include "ops/torch/aten.h"
#include "ops/torch/backend.h"
#include "ops/torch/embedding_shift.h"
#include "ops/torch/parameter.h"
#include "ops/torch/segments.h"

namespace volant {

// What training adds against overfitting and drift; nothing of it in evaluation.
struct Regularisers {
  float label_smoothing = 0, z_loss = 0;  // of head_loss
  // NEFTune (Jain et al. 2023): uniform noise on token embeddings of alpha / sqrt(length * width), 0: none.
  float neftune_alpha = 0;
};

class TorchOps {
 public:
  using Act = TorchAct;
  using Weight = std::shared_ptr<TorchParameter>;
  struct Routing : volant::Routing {
    at::Tensor node;  // the weights [T, k] in the graph
  };

  // `bf16`: the type of what goes into products. `record`: keep what the backward pass needs.
  explicit TorchOps(bool bf16, bool record, TorchBackend backend = torch_backend())
      : bf16_(bf16), record_(record), aten_(backend != TorchBackend::kKernels) {}

  // For the passes that follow: `batch` names the tokens and the lengths that the noise goes by.
  void regularise(const Regularisers& how, const Batch& batch, uint64_t seed);

  // A trained weight of zeros.
  static Weight make_weight(const std::vector<int64_t>& shape);
  // The passes that follow train: what is random in them (dropout) comes from `seed`, and batch norm goes by
  // the batch. 0: they do not.
  void set_seed(uint64_t seed) { seed_ = seed; }
  // From now on the embeddings of the batch's tokens are shifted; the gradient of the weights is that of
  // embeddings as they are.
  void shift_embeddings(const EmbeddingShift& how, const Batch& batch);
  // Keeps the batch's features, or the embeddings of its tokens, for their gradient. Those weights get none.
  void learn_inputs(const Batch& batch);
  // That gradient after the backward pass, [T, F] or [T, D]; empty when nothing read them.
  std::vector<float> input_gradient() const;
  // The passes that follow leave adapters out. Only for one that does not record.
  void leave_out_adapters() { base_alone_ = !record_; }
  // What happens around segments of the passes that follow; outlives their backward passes.
  void set_segments(const TorchSegments& segments) { segments_ = &segments; }
  // Activations from f32 numbers, that gradients can be asked of: for tests.
  static Act make_act(std::span<const float> values, int64_t rows, bool needs_grad);

  // All numbers of an activation, outside the graph.
  static std::vector<float> numbers(const Act& x);
  // A number of the graph whose gradient by `x` is `gradient` (as many numbers): where a loss was formed
  // outside.
  static at::Tensor with_gradient(const Act& x, std::span<const float> gradient);

  Act embed(const Weight& w, std::span<const int32_t> ids);
  Act linear(const Act& x, const Weight& w);
  Act add_bias(const Act& x, const Weight& b);
  Act rms_norm(const Act& x, const Weight& w, float eps, float offset = 0);
  Act layer_norm(const Act& x, const Weight& w, const Weight* b, float eps);
  Act rope(const Act& x, const Batch& batch, const RopeSpec& spec);
  Act attention(const Act& q, const Act& k, const Act& v, const Batch& batch, const AttentionSpec& spec);
  Act relative_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                         const AttentionSpec& spec, const RelativeBias<Weight>& relative);
  Act cross_attention(const Act& q, const Act& k, const Act& v, const Batch& batch,
                      const AttentionSpec& spec);
  Routing route(const Act& logits, const RouteSpec& spec);
  Act combine(std::span<const Act> parts, const Routing& routing);
  Act relu(const Act& x);
  Act silu_mul(const Act& gate, const Act& up);
  Act gelu_mul(const Act& gate, const Act& up, Gelu kind);
  Act gelu(const Act& x, Gelu kind);
  Act softcap(const Act& x, float cap);
  Act scale(const Act& x, float factor);
  Act add(const Act& x, const Act& y);
  Act take_rows(const Act& x, std::span<const int32_t> ids);
  Act take_columns(const Act& x, int64_t begin, int64_t count);
  Act features(const Batch& batch);
  Act conv2d(const Act& x, const Weight& w, const Weight& b, const ConvSpec& spec);
  Act pool2d(const Act& x, const PoolSpec& spec);
  Act batch_norm(const Act& x, const BatchNorm<Weight>& norm);
  Act dropout(const Act& x, float p);
  Act recurrent(const Act& gates, const Weight& w, const Weight& b, const Batch& batch,
                const RecurrentSpec& spec);
  Act pool_rows(const Act& x, const Batch& batch, RowPool how);
  Act join_columns(const Act& x, const Act& y);
  // See ops/segment.h. (segments.cc)
  using Segment = std::function<Act(TorchOps&, const Act&)>;
  Act segment(const Act& x, const Segment& f);

  struct Loss {
    double sum = 0;   // over rows: weight * -log softmax(logits of the head)[target]
    at::Tensor node;  // one number of the graph whose gradient is scale * sum; undefined when not recording
  };
  // The head and its cross-entropy, by chunks of rows: never all logits at once. Gradients are formed here
  // already, while a chunk's logits are at hand. `row_losses`, when not empty, takes the loss of every row.
  Loss head_loss(const Act& x, const LmHead<Weight>& head, std::span<const int32_t> targets,
                 std::span<const float> weights, float scale, std::span<double> row_losses = {});

  // How a student learns from its teacher; see DistilRows in ops/torch/kernels.h.
  struct Distil {
    float temperature = 1, alpha = 0.5F;
    int64_t top_k = 0;
  };
  struct DistilLoss {
    double hard = 0, soft = 0;  // sums over rows, times weight
    at::Tensor node;            // its gradient is scale * (alpha * soft + (1 - alpha) * hard)
  };
  // The same by chunks of rows with the logits of a teacher beside them. `teacher_x`: the same rows of the
  // teacher before its head; both heads have as many rows.
  DistilLoss distil_loss(const Act& x, const LmHead<Weight>& head, const Act& teacher_x,
                         const LmHead<Weight>& teacher_head, std::span<const int32_t> targets,
                         std::span<const float> weights, const Distil& how, float scale);

 private:
  // Logits [rows, V] of a chunk from row `first` on, to be overwritten; the gradient of the loss by them goes
  // to `grad`, whose data is null when not recording, and may be where the logits are.
  using OnLogits =
      std::function<void(int64_t first, int64_t rows, torch_ops::Out logits, torch_ops::Out grad)>;
  enum class Logits {
    kExact,         // in f32
    kForTheirLoss,  // in bf16 where that is what a step computes in
  };
  // Calls `f` chunk by chunk, never with all logits at once. What it gives is undefined when not recording.
  at::Tensor through_head(const Act& x, const LmHead<Weight>& head, Logits kind, const OnLogits& f);
  // The same in libtorch's words: the loss of each row of a chunk from its logits [rows, V]. Gives the sum of
  // those, times `weights`, as a node whose gradient is `scale` times it. (aten_head.cc)
  using LossOfLogits = std::function<at::Tensor(int64_t first, const at::Tensor& logits)>;
  at::Tensor through_aten_head(const Act& x, const LmHead<Weight>& head, std::span<const float> weights,
                               float scale, const LossOfLogits& f);
  Loss aten_head_loss(const Act& x, const LmHead<Weight>& head, std::span<const int32_t> targets,
                      std::span<const float> weights, float scale, std::span<double> row_losses);
  DistilLoss aten_distil_loss(const Act& x, const LmHead<Weight>& head, const Act& teacher_x,
                              const LmHead<Weight>& teacher_head, std::span<const int32_t> targets,
                              std::span<const float> weights, const Distil& how, float scale);
  at::Tensor numbers_of(const Weight& w) const;  // f32, in the graph where it is trained
  const torch_ops::aten::Turn& turn_of(const at::Tensor& beside, const Batch& batch, const RopeSpec& spec);
  const torch_ops::aten::AttentionPlan& plan_of(const at::Tensor& beside, const Batch& batch, bool causal);
  // Embeddings of `ids` with what noise and shifts add to them.
  at::Tensor disturbed(const at::Tensor& embedded, std::span<const int32_t> ids) const;
  void add_noise(at::Tensor& embedded) const;
  void add_shift(at::Tensor& embedded) const;
  bool trains() const { return (record_ || forgets_) && seed_ != 0; }
  Act forgotten_segment(const Act& x, const Segment& f, int number);
  // The seed of the next operation that draws; 0 in passes that do not train.
  uint64_t draw() { return seed_ == 0 ? 0 : seed_ + ++n_random_ * 0x9E3779B97F4A7C15ULL; }

  bool bf16_, record_, aten_, base_alone_ = false;
  std::shared_ptr<torch_ops::aten::Memo> memo_ = std::make_shared<torch_ops::aten::Memo>();  // of this pass
  bool forgets_ = false;  // a pass that trains and does not record: it is made again
  const TorchSegments* segments_ = nullptr;
  int n_segments_ = 0;  // so far in this pass
  bool learns_inputs_ = false;
  const int32_t* learned_tokens_ = nullptr;  // the ids whose embeddings are kept
  at::Tensor inputs_;
  EmbeddingShift shift_;
  const int32_t* shifted_tokens_ = nullptr;  // the ids whose embeddings are shifted
  std::span<const int32_t> shifted_begin_;
  Regularisers regularisers_;
  const int32_t* noisy_tokens_ = nullptr;  // the ids whose embeddings get noise
  std::span<const int32_t> noisy_begin_;
  uint64_t noise_seed_ = 0;
  uint64_t seed_ = 0, n_random_ = 0;  // operations of this pass that drew from it
};

}  // namespace volant
