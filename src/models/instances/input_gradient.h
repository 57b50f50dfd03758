// InputGradient: how a model's outputs change with its inputs, on the native kernels: for explanations and
// attacks. A plain handle without templates. One pass at a time.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "models/checkpoint.h"
#include "ops/batch.h"

namespace volant {

class InputGradient {
 public:
  struct Pass {
    std::vector<float> output;    // [R, C] of the rows read out
    std::vector<float> input;     // [T, F] of features, [T, D] of the words' embeddings; scaled, shifted
    std::vector<float> gradient;  // of the weighted sum of the outputs, by each number of `input`
  };
  // The weights of the outputs in the sum, from the outputs.
  using Weights = std::function<std::vector<float>(std::span<const float> output)>;

  // f32. kUnsupported for models with experts and encoder-decoders.
  static Result<std::unique_ptr<InputGradient>> load(const Checkpoint& checkpoint, int n_threads);
  ~InputGradient();

  const ModelConfig& config() const;
  // `embedding_scale`: of the words' embeddings; `shift`: added to the features or embeddings, as many
  // numbers as `input` has, or none. kInvalidArgument for ids or positions out of range, or a shift of
  // another size.
  Result<Pass> gradient(const Batch& batch, const Weights& weights, float embedding_scale = 1,
                        std::span<const float> shift = {});

 private:
  struct State;
  explicit InputGradient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volant
