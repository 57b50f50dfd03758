// TorchModel: a model of any family on TorchOps, for training. A plain handle: no torch in this header, and
// the exceptions of libtorch and oneDNN end here.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/model_config.h"
#include "ops/batch.h"

namespace volant {

// Threads of training (0: one for each core this process may use) and memory that is kept between steps. Call
// once, first. Gives the number of threads.
int prepare_torch(int n_threads);
// Whether products in bf16 are native on this processor.
bool torch_has_bf16();
// The instruction set of our own loops: "avx512".
std::string torch_isa();
// FLOP/s of a large product on all threads, measured now (about 0.1 s).
Result<double> torch_peak_flops(bool bf16);

struct TorchOptions {
  bool bf16 = false;
  // Of loss_and_gradient() alone: see Regularisers in ops/torch/torch_ops.h.
  float label_smoothing = 0, z_loss = 0, neftune_alpha = 0;
};

class TorchModel {
 public:
  struct Parameter {
    TensorSpec spec;
    std::span<float> values, gradient;  // a frozen one has no gradient
  };
  // From log p of the target of each row read out: the loss, and its derivative by each of them.
  using LogProbLoss = std::function<double(std::span<const double> log_p, std::span<double> gradient)>;
  // From the output [R, C] of the rows read out: the loss, and its derivative by each number.
  using OutputLoss = std::function<double(std::span<const float> output, std::span<float> gradient)>;

  // Weights are zeros until they are written through parameters() and frozen().
  static Result<TorchModel> create(const ModelConfig& config, const TorchOptions& options);
  TorchModel(TorchModel&&) noexcept;
  TorchModel& operator=(TorchModel&&) noexcept;
  ~TorchModel();

  const ModelConfig& config() const;
  // What is trained, and what is not.
  std::span<const Parameter> parameters() const;
  std::span<const Parameter> frozen() const;
  // To be called when values were written.
  void weights_changed();
  void zero_gradients();
  // Before each step: everything random in the passes that follow (noise, dropout) comes from `seed`.
  void begin_step(uint64_t seed);

  // Language models. Sum over the rows read out of weight * -log p(target).
  Result<double> loss(const Batch& batch, std::span<const int32_t> targets,
                      std::span<const float> weights) const;
  // The same, and adds the gradient of scale * sum to the gradients.
  Result<double> loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                   std::span<const float> weights, float scale);
  // log p(target) of the rows read out.
  Result<std::vector<double>> log_probs(const Batch& batch, std::span<const int32_t> targets) const;
  // Any loss that is a function of those (preferences, policies): gives it, and adds the gradient of scale
  // times it. One forward and one backward pass, and the head once more.
  Result<double> log_prob_loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                            const LogProbLoss& loss, float scale);

  // A student's loss: alpha * T^2 KL(teacher || student), both softened by the temperature T, and 1 - alpha
  // of the plain loss on the targets (Hinton, Vinyals, Dean 2015). By chunks of rows: never all logits at
  // once.
  struct Distil {
    double temperature = 1, alpha = 0.5;
    int64_t top_k = 0;  // of the teacher's words the best k alone, as if it knew no others; 0: all
  };
  struct DistilLoss {
    double loss = 0, hard = 0, soft = 0;  // sums over the rows read out, times weight; `soft` with T^2
  };
  // Adds the gradient of scale * loss. kInvalidArgument when the vocabularies differ in size.
  Result<DistilLoss> distil_loss_and_gradient(const Batch& batch, const TorchModel& teacher,
                                              std::span<const int32_t> targets,
                                              std::span<const float> weights, const Distil& how, float scale);

  // Any model: what it gives for the rows read out [R, C] (logits, hidden states or scores), and a loss on
  // it.
  Result<std::vector<float>> output(const Batch& batch) const;
  Result<double> output_loss_and_gradient(const Batch& batch, const OutputLoss& loss, float scale);

 private:
  struct State;
  explicit TorchModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
