// SharedWeights: weights of which each rank holds its part, and which are whole only while a pass reads them
// (ZeRO 3, Rajbhandari et al. 2020; FSDP, Zhao et al. 2023). A layer is gathered before its forward and
// before its backward pass while the one before it is computed, and dropped when the next one is needed; what
// is in no layer (embeddings, head) stays whole from the first pass of a step to the optimiser's. All ranks
// make the same passes in the same order.
#pragma once
#include <vector>

#include "train/parts.h"

namespace volant {

class SharedWeights {
 public:
  // Drops the parts of others. Both outlive it, and the model stays where it is.
  SharedWeights(TorchModel& model, const Ranks& ranks);
  SharedWeights(const SharedWeights&) = delete;
  SharedWeights& operator=(const SharedWeights&) = delete;
  ~SharedWeights();

  // What this rank keeps of a group.
  std::span<float> own(size_t group) const { return parts_.own(group); }
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
  void need(size_t group, bool backward);
  void start(size_t group);
  void finish(size_t group);
  void drop(size_t group);

  TorchModel& model_;
  const Ranks& ranks_;
  Parts parts_;
  std::vector<Group> groups_;
  size_t idle_;  // the layer that was read last; the last group's number: none
  uint64_t bytes_ = 0, most_bytes_ = 0;
  Status failed_;
};

}  // namespace volant
