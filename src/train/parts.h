// Parts: of each group's values or gradients the numbers that this rank keeps between passes. Where pages can
// be given back they stay in their place; where groups go whole (on GPUs) they are beside, and the group
// comes and goes.
#pragma once
#include <utility>
#include <vector>

#include "models/instances/torch.h"
#include "ops/torch/backend.h"
#include "train/ranks.h"

namespace volant {

// Numbers of `size` that rank `rank` of `n_ranks` keeps: the rank-th of equal stretches, [first, last).
std::pair<size_t, size_t> stretch_of(size_t size, int rank, int n_ranks);

class Parts {
 public:
  // Groups that go whole are gone from now on. Both outlive it, and the model stays where it is.
  Parts(TorchModel& model, const Ranks& ranks, TorchModel::Of of);

  std::span<float> own(size_t group) const;
  // The group is there: values with our own among numbers of no meaning, gradients as they were or zeros.
  void bring(size_t group);
  // Bytes that a group takes besides our own numbers while it is there.
  uint64_t bytes_of_others(size_t group) const;
  // Only our own numbers stay. Of gradients that were brought what stands there was added to ours.
  void drop(size_t group);

 private:
  std::span<float> whole(size_t group) const;
  // Our stretch of the whole.
  std::span<float> stretch(size_t group) const;

  TorchModel& model_;
  const Ranks& ranks_;
  TorchModel::Of of_;
  std::vector<torch_ops::Numbers> beside_;  // of groups that go whole; empty where they stay
};

}  // namespace volant
