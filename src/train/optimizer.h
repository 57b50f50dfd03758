// How gradients change weights: one file for each rule in train/optimizers/, all in f32, in place, one pass
// over memory where the rule allows. Weight decay is decoupled and on matrices alone, none on norms and
// biases.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/instances/torch.h"
#include "ops/torch/steps.h"
#include "train/job.h"

namespace volant {

class Optimizer {
 public:
  // What it remembers of one parameter, for the checkpoint: "m.model.norm.weight". Where the model is too.
  struct Slot {
    std::string name;
    std::span<float> values;
    size_t begin = 0, count = 0;  // of a piece: where in the whole it begins, and how many that has
  };

  virtual ~Optimizer() = default;
  // Step number `step` (from 0) at `lr`; gradients times `gradient_scale`, then zeros.
  virtual void step(TorchModel& model, int64_t step, double lr, double gradient_scale) = 0;
  virtual std::vector<Slot> slots() = 0;
};

// By job.optimizer, one of job_words("optimizer"):
//   adamw      Loshchilov and Hutter 2019
//   adam       Kingma and Ba 2015; weight decay is added to the gradient
//   lion       Chen et al. 2023
//   sgd        momentum, Nesterov when job.nesterov
//   adafactor  Shazeer and Stern 2018: second moments of a matrix as one row and one column
//   muon       Jordan et al. 2024: momentum of matrices orthogonalised by Newton-Schulz; AdamW for the others
// It changes `parameters`, all of the model's or pieces of them.
using Parameters = std::vector<TorchModel::Parameter>;
std::unique_ptr<Optimizer> make_optimizer(const TrainJob& job, const Parameters& parameters);
std::unique_ptr<Optimizer> make_optimizer(const TrainJob& job, const TorchModel& model);
// Whether that rule changes every number by itself, so that it may be given pieces, and computes where the
// numbers are: not those that look at whole matrices, which compute on the host.
bool changes_numbers_apart(const std::string& optimizer);

// Sum of the squares of all gradients, and its root. The same for any number of threads.
double gradient_squares(std::span<const TorchModel::Parameter> parameters);
double gradient_norm(const TorchModel& model);

// One for each file in optimizers/.
std::unique_ptr<Optimizer> make_adamw(const TrainJob& job, const Parameters& parameters);
std::unique_ptr<Optimizer> make_lion(const TrainJob& job, const Parameters& parameters);
std::unique_ptr<Optimizer> make_sgd(const TrainJob& job, const Parameters& parameters);
std::unique_ptr<Optimizer> make_adafactor(const TrainJob& job, const Parameters& parameters);
std::unique_ptr<Optimizer> make_muon(const TrainJob& job, const Parameters& parameters);

// What they share: a moment as large as each parameter, and its slots.
using Moments = std::vector<torch_ops::Numbers>;
Moments zero_moments(const Parameters& parameters);
void add_slots(const char* name, std::span<const TorchModel::Parameter> parameters, Moments& moments,
               std::vector<Optimizer::Slot>& slots);
inline bool decays(const TorchModel::Parameter& p) { return p.spec.shape.size() > 1; }
inline double decay_of(const TorchModel::Parameter& p, double weight_decay) {
  return decays(p) ? weight_decay : 0;
}
// One step of AdamW, or of Adam when it is not `decoupled`, with the job's numbers.
void adamw_step(const TrainJob& job, const TorchModel::Parameter& p, const torch_ops::Numbers& m,
                const torch_ops::Numbers& v, int64_t step, double lr, double gradient_scale, bool decoupled);
// What weight decay leaves of a parameter in one step.
inline float kept_of(const TorchModel::Parameter& p, double lr, double weight_decay) {
  return static_cast<float>(1 - lr * decay_of(p, weight_decay));
}

// A rule that remembers one number for each: how it changes a parameter and its moment `m`.
using OneMomentRule =
    std::function<void(const TorchModel::Parameter& p, float* m, double lr, double gradient_scale)>;
std::unique_ptr<Optimizer> one_moment_optimizer(const Parameters& parameters, OneMomentRule rule);

}  // namespace volant
