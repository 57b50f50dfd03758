// The child process volant-train: writes the job, starts it in the run's folder, follows it to its end.
#pragma once
#include "base/json.h"
#include "io/process.h"
#include "registry/runs.h"
#include "wheel/launch.h"
#include "wheel/workspace.h"

namespace volant {

// `model`: {"config":{...}} or {"init_from":"..."}. What a job may say is in docs/training.md.
Json pretrain_job(const WorkspaceConfig& config, const Json& model, const Path& tokenizer,
                  const Path& shards);

struct TrainedModel {
  Path folder;   // finished Hugging Face folder inside the run's folder
  Json summary;  // {"steps","loss","validation_bits_per_byte","n_parameters","tokens","tokens_per_second"}
};

// What volant-train's exit status is after a stop request: its checkpoint is saved.
inline constexpr int kStoppedStatus = 130;
// How volant-train, which stands beside this program, is started on a job file. kNotFound when it is not
// built. `plan_only`: says what it would do, and ends. What it writes on standard error goes to `log`; empty:
// ours.
Result<ProcessOptions> trainer_options(const Path& job_file, bool plan_only = false, const Path& log = {});
// Runs the job in `dir` (a run's folder), or goes on from its checkpoint.
// kCancelled after a stop request (the checkpoint is saved), kNotFound when volant-train is not built,
// kIo or kInternal with the trainer's last words when it failed.
Result<TrainedModel> run_trainer(const Path& dir, const Json& job, const Path& log = {},
                                 const Launch& launch = {});
// Removes the checkpoints of a finished run; the model itself is an artifact by then.
void drop_checkpoints(const Registry& registry, const std::string& run_id);

}  // namespace volant
