// What ranks exchange in a step: the sums of their gradients, layer by layer while the backward pass goes on,
// and, where the optimiser's work is shared out, the weights that each of them has changed. The optimiser's
// part and its memory are kept by number: of each layer, rank r of N keeps the r-th of N equal stretches
// (ZeRO, Rajbhandari et al. 2020).
#pragma once
#include <deque>
#include <optional>

#include "train/optimizer.h"
#include "train/ranks.h"
#include "train/shared_weights.h"

namespace volant {

// In the order of job_words("shard").
//   kNone       every rank keeps everything
//   kOptimizer  what the optimiser remembers is shared out
//   kGradients  and the sums of the gradients: between steps, and of every layer once its sum is formed
//   kParameters and the weights themselves: see train/shared_weights.h
enum class Shard { kNone, kOptimizer, kGradients, kParameters };

class Exchange {
 public:
  // Both outlive it, and the model stays where it is.
  Exchange(TorchModel& model, const Ranks& ranks, Shard shard);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  // What this rank's optimiser changes.
  const Parameters& parameters() const { return parameters_; }
  // What a checkpoint gives back to this rank: all, or its parts of shared weights.
  std::span<const TorchModel::Parameter> kept() const {
    return weights_ ? std::span<const TorchModel::Parameter>(parameters_) : model_.kept();
  }
  // After the step's passes: every gradient is the sum over ranks, where this rank's optimiser needs it.
  Status finish_gradients();
  // Norm of the summed gradients, the same everywhere.
  Result<double> gradient_norm() const;
  // After the optimiser's step: all ranks have all weights that they do not share, and gradients are zeros.
  Status share_weights();
  // Makes shared weights whole on rank 0, until drop_weights(). All ranks call both; so does what follows.
  Status gather_weights() { return weights_ ? weights_->gather_on_first() : Status(); }
  void drop_weights() {
    if (weights_) weights_->drop();
  }
  // Of passes outside of a step.
  Status take_failure() { return weights_ ? weights_->take_failure() : Status(); }
  // Weights are no longer shared: rank 0 has all of them, others are of no use.
  Status keep_on_first();
  // Bytes of weights on this rank at most at a time, since the last call; 0 where they are not shared.
  uint64_t take_most_weight_bytes() { return weights_ ? weights_->take_most_bytes() : 0; }
  // Makes the slots of the ranks' optimisers whole on rank 0, with `storage` for their numbers; on others
  // they are of no use afterwards. All ranks call it.
  Status gather(std::vector<Optimizer::Slot>& slots, Moments& storage) const;

 private:
  // Numbers of group `group` that rank `rank` keeps.
  std::pair<size_t, size_t> stretch(size_t group, int rank) const {
    return stretch_of(model_.groups()[group].values.size(), rank, ranks_.size());
  }
  bool divides_gradients() const { return gradients_.has_value(); }
  void start(size_t group);
  // Of all groups up to `group`, counted from the last layer's, those that have not started in this pass.
  void start_up_to(size_t group);
  // Waits for the oldest sums until those of so many groups are left.
  void finish_all_but(size_t n_groups);
  // Where this rank's optimiser finds its numbers of a group.
  std::span<float> own_values(size_t group) const;
  std::span<float> own_gradient(size_t group) const;
  void clear_foreign_gradients(size_t group);

  TorchModel& model_;
  const Ranks& ranks_;
  Shard shard_;
  Parameters parameters_;
  std::optional<SharedWeights> weights_;
  std::optional<Parts> gradients_;  // where they are divided
  size_t n_started_ = 0;            // groups of this pass, in the order of the backward pass
  int64_t n_rounds_ = 0;            // passes whose gradients are summed, of this step
  std::deque<std::pair<size_t, Ranks::Pending>> pending_;
  Status failed_;
};

}  // namespace volant
