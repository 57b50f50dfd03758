#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace volant {

double train_progress(const TrainJob& job, int64_t step, double elapsed_seconds) {
  const double by_steps = static_cast<double>(step) / static_cast<double>(job.steps);
  const double by_time = job.max_seconds > 0 ? elapsed_seconds / job.max_seconds : 0;
  return std::clamp(std::max(by_steps, by_time), 0.0, 1.0);
}

double learning_rate(const TrainJob& job, int64_t step, double progress) {
  if (step < job.warmup_steps)
    return job.lr * static_cast<double>(step + 1) / static_cast<double>(job.warmup_steps);
  const double warm = std::min(static_cast<double>(job.warmup_steps) / static_cast<double>(job.steps), 0.999);
  const double p = std::clamp((progress - warm) / (1 - warm), 0.0, 1.0);
  return job.lr * (job.min_lr_ratio + (1 - job.min_lr_ratio) * 0.5 * (1 + std::cos(std::numbers::pi * p)));
}

}  // namespace volant
