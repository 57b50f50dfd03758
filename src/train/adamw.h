// AdamW (Loshchilov and Hutter 2019) in place, one pass over memory:
// decay on matrices, none on norms. Moments in f32.
#pragma once
#include <vector>

#include "models/instances/torch.h"
#include "train/job.h"

namespace volant {

class AdamW {
 public:
  explicit AdamW(const TorchModel& model);
  // Norm of all gradients. The same for any number of threads.
  static double gradient_norm(const TorchModel& model);
  // Step number `step` (from 0) at `lr`; gradients times `gradient_scale`, then zeros.
  void step(TorchModel& model, const TrainJob& job, int64_t step, double lr, double gradient_scale);

  std::vector<std::vector<float>>& first_moments() { return first_; }
  std::vector<std::vector<float>>& second_moments() { return second_; }

 private:
  std::vector<std::vector<float>> first_, second_;  // one each for a parameter
};

}  // namespace volant
