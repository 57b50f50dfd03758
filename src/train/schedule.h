// The learning rate over a job: a linear warm-up, then one of job_words("schedule"), down to
// min_lr_ratio:
//
// cosine      half a cosine down (the default)
// linear      a straight line down
// constant    stays
// step        times step_gamma after each step_every steps
// one_cycle   up to the rate over 30 % of the job, then a cosine down to a thousandth (Smith and Topin 2019);
//             the warm-up is its own
// plateau     stays, times plateau_factor whenever plateau_patience evaluations in a row brought nothing
// better
#pragma once
#include "train/job.h"

namespace volant {

// How much of the job is done, 0 to 1: by steps or, with max_seconds, by time, whichever is further.
double train_progress(const TrainJob& job, int64_t step, double elapsed_seconds);
// The rate of `step` (from 0) at `progress`; `n_plateaus`: how often the evaluations stood still.
double learning_rate(const TrainJob& job, int64_t step, double progress, int64_t n_plateaus = 0);

}  // namespace volant
