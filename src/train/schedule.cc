#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace volant {
namespace {

constexpr double kOneCycleRise = 0.3, kOneCycleStart = 0.04, kOneCycleEnd = 1e-3;

// From `from` to `to` along half a cosine.
double cosine(double from, double to, double part) {
  return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(part, 0.0, 1.0)));
}

double one_cycle(double progress) {
  if (progress < kOneCycleRise) return cosine(kOneCycleStart, 1, progress / kOneCycleRise);
  return cosine(1, kOneCycleEnd, (progress - kOneCycleRise) / (1 - kOneCycleRise));
}

}  // namespace

double train_progress(const TrainJob& job, int64_t step, double elapsed_seconds) {
  const double by_steps = static_cast<double>(step) / static_cast<double>(job.steps);
  const double by_time = job.max_seconds > 0 ? elapsed_seconds / job.max_seconds : 0;
  return std::clamp(std::max(by_steps, by_time), 0.0, 1.0);
}

double learning_rate(const TrainJob& job, int64_t step, double progress, int64_t n_plateaus) {
  if (job.schedule == "one_cycle") return job.lr * one_cycle(progress);
  if (step < job.warmup_steps)
    return job.lr * static_cast<double>(step + 1) / static_cast<double>(job.warmup_steps);
  if (job.schedule == "constant") return job.lr;
  if (job.schedule == "step")
    return job.lr * std::pow(job.step_gamma, static_cast<double>(step / job.step_every));
  if (job.schedule == "plateau")
    return job.lr * std::max(job.min_lr_ratio, std::pow(job.plateau_factor, static_cast<double>(n_plateaus)));
  const double warm = std::min(static_cast<double>(job.warmup_steps) / static_cast<double>(job.steps), 0.999);
  const double p = std::clamp((progress - warm) / (1 - warm), 0.0, 1.0);
  if (job.schedule == "linear") return job.lr * (1 + (job.min_lr_ratio - 1) * p);
  return job.lr * cosine(1, job.min_lr_ratio, p);
}

}  // namespace volant
