// One training run: reads job.json in the run's folder, trains, writes events, checkpoints and the finished
// model folder. Killed at any moment and started again it goes on from the last checkpoint, bit for bit.
#pragma once
#include "base/result.h"
#include "io/file.h"

namespace volant {

enum class TrainOutcome { kFinished, kStopped };

// `job_file`: its folder is the run's folder.
// Stops at the next step when stop_requested(), with a checkpoint.
// `plan_only`: says what the run would do, and checks that it could, but trains nothing.
Result<TrainOutcome> run_training(const Path& job_file, bool plan_only = false);

}  // namespace volant
