// Averages of the weights (and of batch norm's statistics) over time, which often generalise better than the
// last ones: an exponential moving average kept beside them, and the mean of the last checkpoints.
#pragma once
#include "train/optimizer.h"

namespace volant {

// decay * average + (1 - decay) * weights after each step; early steps count more: decay is at most
// (1 + step) / (10 + step).
class MovingAverage {
 public:
  MovingAverage(const TorchModel& model, double decay);
  void update(const TorchModel& model, int64_t step);
  // Exchanges the model's weights with the averages: before an evaluation, and back.
  void swap(TorchModel& model);
  std::vector<Optimizer::Slot> slots(const TorchModel& model);

 private:
  double decay_;
  Moments average_;
};

// Keeps the weights of the last `n` checkpoints in `folder`, one file each.
Status keep_recent(const Path& folder, int64_t n, const TorchModel& model, int64_t step);
// The mean of all files in `folder` becomes the model's weights. Gives how many there were; with none the
// weights stay.
Result<int64_t> average_recent(const Path& folder, TorchModel& model);

}  // namespace volant
