// What a run needs to go on: weights, optimiser moments, and where it stood. One safetensors file, written
// aside and renamed: `checkpoints/last/state.safetensors`; `checkpoints/best` holds weights alone.
#pragma once
#include <limits>

#include "train/optimizer.h"

namespace volant {

struct TrainState {
  int64_t step = 0;     // steps done
  Json objective;       // where its data stands
  uint64_t tokens = 0;  // trained on so far
  double elapsed = 0;   // seconds of training so far, over all starts
  double best_loss = std::numeric_limits<double>::infinity();
  int64_t best_step = -1;
  int64_t evaluations_without_progress = 0;
  int64_t n_plateaus = 0;  // how often the schedule "plateau" has cut the rate

  Json to_json() const;
  static Result<TrainState> from_json(const Json& json);
};

struct TrainFiles {
  Path run;
  Path events() const { return run / "events.jsonl"; }
  Path last() const { return run / "checkpoints" / "last" / "state.safetensors"; }
  Path best() const { return run / "checkpoints" / "best" / "state.safetensors"; }
  Path test() const { return run / "test.json"; }  // see train/test_part.h
  Path test_before() const { return run / "test_before.json"; }
  Path size() const { return run / "size.json"; }
  Path recent() const { return run / "checkpoints" / "recent"; }
  Path model() const { return run / "model"; }
  Path parity() const { return run / "parity.json"; }  // of the merged model, likewise
  Path adapter() const { return run / "adapter"; }     // of a run that trains adapters, in PEFT's layout
};

// `slots`: what optimiser and averages remember, whole; none: weights alone.
Status save_checkpoint(const Path& file, const TorchModel& model, const std::vector<Optimizer::Slot>& slots,
                       const TrainState& state, const std::string& job_digest);
// kConflict when it belongs to another job; kParse names the tensor that is missing or of another shape.
// `weights`: model.kept(), or pieces of it. Slots may be pieces of what is there too.
Result<TrainState> load_checkpoint(const Path& file, TorchModel& model,
                                   std::span<const TorchModel::Parameter> weights,
                                   const std::vector<Optimizer::Slot>& slots, const std::string& job_digest);

}  // namespace volant
