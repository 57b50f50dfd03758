// TorchLlama: the Llama of models/llama.h on TorchOps, for training. A plain handle: no torch in this header,
// and the exceptions of libtorch and oneDNN end here.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/llama_config.h"
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

class TorchLlama {
 public:
  struct Parameter {
    std::string name;  // Hugging Face
    std::vector<int64_t> shape;
    std::span<float> values, gradient;
  };

  // Weights are zeros until they are written through parameters().
  static Result<TorchLlama> create(const LlamaConfig& config, bool bf16);
  TorchLlama(TorchLlama&&) noexcept;
  TorchLlama& operator=(TorchLlama&&) noexcept;
  ~TorchLlama();

  const LlamaConfig& config() const;
  std::span<const Parameter> parameters() const;
  // To be called when values were written.
  void weights_changed();
  void zero_gradients();

  // Sum over the rows read out of weight * -log p(target).
  Result<double> loss(const Batch& batch, std::span<const int32_t> targets,
                      std::span<const float> weights) const;
  // The same, and adds the gradient of scale * sum to the gradients.
  Result<double> loss_and_gradient(const Batch& batch, std::span<const int32_t> targets,
                                   std::span<const float> weights, float scale);
  // Logits of the rows read out, [R, V]: for parity tests.
  Result<std::vector<float>> logits(const Batch& batch) const;

 private:
  struct State;
  explicit TorchLlama(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
