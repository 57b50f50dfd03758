// One training run: reads job.json in the run's folder, trains, writes events, checkpoints and the finished
// model folder. Killed at any moment and started again it goes on from the last checkpoint, bit for bit.
#pragma once
#include <functional>

#include "base/result.h"
#include "io/file.h"

namespace volant {

enum class TrainOutcome { kFinished, kStopped };

// `job_file`: its folder is the run's folder.
// Stops at the next step when stop_requested(), with a checkpoint.
// `plan_only`: says what the run would do, and checks that it could, but trains nothing.
// Started as one of several processes (train/rank_info.h) it trains together with the others, which all see
// the run's folder; rank 0 alone writes there. `on_lost`: called from another thread when one of them is
// gone, after that was written to the events: it ends this process, which would wait for ever.
Result<TrainOutcome> run_training(const Path& job_file, bool plan_only = false,
                                  std::function<void(const Error&)> on_lost = {});

}  // namespace volant
