// The learning rate: linear warm-up, then a cosine down to min_lr_ratio at the end of the job.
#pragma once
#include "train/job.h"

namespace volant {
// How much of the job is done, 0 to 1: by steps or, with max_seconds, by time, whichever is further.
double train_progress(const TrainJob& job, int64_t step, double elapsed_seconds);
// The rate of `step` (from 0) at `progress`.
double learning_rate(const TrainJob& job, int64_t step, double progress);
}  // namespace volant
