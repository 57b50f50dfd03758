// Trials: a workspace's model trained on some of its rows and scored on others, each in a folder of its own
// by a child process, several at once. What is finished is not done again; what was killed goes on.
#pragma once
#include <functional>
#include <optional>
#include <span>

#include "eval/report/report.h"
#include "tasks/task.h"
#include "wheel/workspace.h"

namespace volant::predict {

struct Trial {
  std::string name;                             // of its folder: "fold-03"
  std::vector<size_t> train, validation, test;  // row numbers
  std::optional<uint64_t> seed = {};            // of the training; none: as [train] says
};

struct TrialResult {
  EvalReport report;  // on its test rows
  int64_t train_rows = 0, test_rows = 0;
  double seconds = 0;  // of the training
};

// Trains the job in the folder, or goes on with it, and gives the finished model's folder.
using TrainJob = std::function<Result<Path>(const Path& run, const Json& job)>;
Result<Path> train_with_child(const Path& run,
                              const Json& job);  // volant-train; talks to train.log beside run

struct TrialOptions {
  int parallel = 1;   // processes at once
  int n_threads = 0;  // of all of them together; 0: all cores
  TrainJob train = train_with_child;
  std::function<void(size_t done)> on_done;  // calls come one at a time, the first with 0
};

// In the order given. The encoder is learned from a trial's training rows alone. kConflict when another
// process works in `folder`; of several errors the first one.
Result<std::vector<TrialResult>> run_trials(const Workspace& workspace, const Path& folder,
                                            std::span<const TaskRow> rows, std::span<const Trial> trials,
                                            const TrialOptions& options);

// The rows of a workspace, prepared anew when they are stale, and what a trial's outcome depends on.
struct PreparedRows {
  Path folder;  // as prepare made it
  Json key;
};
Result<PreparedRows> prepared_rows(Workspace& workspace);
// Where trials with these settings lie: .volant/cv/<digest>.
Path trials_folder(const Workspace& workspace, const PreparedRows& rows, JsonObject settings);

}  // namespace volant::predict
