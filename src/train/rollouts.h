// Rollouts: many answers of a model at once, sampled by the native runtime as they would be served.
#pragma once
#include <memory>
#include <vector>

#include "models/instances/torch.h"
#include "runtime/engine.h"

namespace volant {

struct RolloutRequest {
  std::vector<int32_t> prompt;
  uint64_t seed = 0;
};
struct Rollout {
  std::vector<int32_t> ids;  // of the answer, with the id that ended it; at least one
  bool ended = false;        // by itself, not by its length
};

class Rollouts {
 public:
  // `model`: a folder. `n_ctx`: tokens of prompt and answer together. The same seeds and weights give the
  // same answers, whatever runs beside them.
  static Result<Rollouts> open(const Path& model, int n_threads, int64_t n_ctx);
  // Answers from now on with the weights of a model in training, of the same configuration.
  Status follow(const TorchModel& model);
  // temperature 0: the most likely words. One answer for each request, in order.
  Result<std::vector<Rollout>> answers(const std::vector<RolloutRequest>& requests, int64_t max_new_tokens,
                                       double temperature);
  // The words of an answer, without special ones.
  std::string text(const Rollout& rollout) const;
  const Engine& engine() const { return *engine_; }

 private:
  explicit Rollouts(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
  std::unique_ptr<Engine> engine_;
};

}  // namespace volant
