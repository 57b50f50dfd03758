// SharedWeights: weights of which each rank holds its part, and which are whole only while a pass reads them
// (ZeRO 3, Rajbhandari et al. 2020; FSDP, Zhao et al. 2023). A layer is gathered before its forward and
// before its backward pass while the one before it is computed, and dropped when the next one is needed; what
// is in no layer (embeddings, head) stays whole from the first pass of a step to the optimiser's. All ranks
// make the same passes in the same order.
#pragma once
#include <vector>

#include "models/instances/torch.h"
#include "train/ranks.h"

namespace volant {

// Numbers of `size` that rank `rank` of `n_ranks` keeps: the rank-th of equal stretches, [first, last).
std::pair<size_t, size_t> stretch_of(size_t size, int rank, int n_ranks);

class SharedWeights {
 public:
  // Drops the parts of others. Both outlive it, and the model stays where it is.
  SharedWeights(TorchModel& model, const Ranks& ranks);
  SharedWeights(const SharedWeights&) = delete;
  SharedWeights& operator=(const SharedWeights&) = delete;
  ~SharedWeights();

  // All ranks call these. Whole on rank 0, until it drops them; parts on all others.
  Status gather_on_first();
  // What is here of others goes: it was changed where it belongs, or is no longer needed.
  void drop();
  // What went wrong in passes since the last call.
  Status take_failure() { return std::exchange(failed_, {}); }
  // Bytes of weights that were here at most at a time for passes, since the last call.
  uint64_t take_most_bytes();

 private:
  enum class Here { kPart, kComing, kWhole };
  struct Group {
    Here here = Here::kWhole;
    std::vector<Ranks::Pending> coming;
  };

  std::span<float> values(size_t group) const { return model_.groups()[group].values; }
  uint64_t foreign_bytes(size_t group) const;
  void need(size_t group, bool backward);
  void start(size_t group);
  void finish(size_t group);
  void drop(size_t group);

  TorchModel& model_;
  const Ranks& ranks_;
  std::vector<Group> groups_;
  size_t idle_;  // the layer that was read last; the last group's number: none
  uint64_t bytes_ = 0, most_bytes_ = 0;
  Status failed_;
};

}  // namespace volant
