#include "wheel/predict/trial.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/digest.h"
#include "base/stop.h"
#include "eval/predict/evaluate.h"
#include "io/jsonl.h"
#include "io/lock_file.h"
#include "wheel/plan.h"
#include "wheel/predict/job.h"
#include "wheel/predict/stages.h"
#include "wheel/run.h"
#include "wheel/stages.h"
#include "wheel/trainer.h"

namespace volant::predict {
namespace {

constexpr const char* kReport = "report.json";
constexpr size_t kKeyDigits = 16;

Status write_rows(const Path& file, std::span<const TaskRow> rows, const std::vector<size_t>& chosen) {
  JsonlWriter writer = TRY(JsonlWriter::create(file));
  for (const size_t row : chosen) TRY(writer.write(to_json(rows[row])));
  return writer.finish();
}

std::vector<TaskRow> rows_at(std::span<const TaskRow> rows, const std::vector<size_t>& chosen) {
  std::vector<TaskRow> out;
  out.reserve(chosen.size());
  for (const size_t row : chosen) out.push_back(rows[row]);
  return out;
}

Result<TrialResult> finished_trial(const Path& file) {
  const Json json = TRY(parse_json(TRY(read_file(file))));
  const Json* report = json_find(json, "report");
  if (report == nullptr) return fail(ErrorCode::kParse, "expected \"report\"");
  return TrialResult{TRY(report_from_json(*report)), TRY(json_int(json, "train_rows")),
                     TRY(json_int(json, "test_rows")), TRY(json_number(json, "seconds"))};
}

Result<TrialResult> run_trial(const Workspace& workspace, const Path& folder, std::span<const TaskRow> rows,
                              const Trial& trial, int n_threads, const TrainJob& train) {
  const Path data = folder / "rows", run = folder / "run";
  TRY(make_dirs(data / kEncoderFolder));
  TRY(make_dirs(run));
  const std::vector<TaskRow> learned = rows_at(rows, trial.train);
  TRY(write_rows(data / kTrainRows, rows, trial.train));
  TRY(write_rows(data / kValidationRows, rows, trial.validation));
  const auto encoder = TRY(task_of(workspace).learn(task_data(workspace), TRY(resolved_model(workspace)),
                                                    workspace.path(), learned));
  TRY(encoder->save(data / kEncoderFolder));
  JsonObject job = TRY(training_job(workspace, data));
  job["n_threads"] = n_threads;
  if (trial.seed) job["seed"] = *trial.seed;
  const double started = steady_seconds();
  const Path model = TRY(train(run, Json(std::move(job))));
  const double seconds = steady_seconds() - started;
  PredictorOptions predicting;
  predicting.n_threads = n_threads;
  const auto predictor = TRY(Predictor::load(model, predicting));
  EvalReport report = TRY(evaluate_predictor(*predictor, rows_at(rows, trial.test)));
  report.title = trial.name;
  const JsonObject json{{"train_rows", trial.train.size()},
                        {"test_rows", trial.test.size()},
                        {"seconds", seconds},
                        {"report", to_json(report)}};
  TRY(write_file_atomic(folder / kReport, dump_json_pretty(json)));
  TRY(volant::remove_all(data));
  TRY(volant::remove_all(run));
  return finished_trial(folder / kReport);  // the same now and when it is read later
}

// Hands the trials out to some threads, each of which follows one child at a time.
class Round {
 public:
  Round(const Workspace& workspace, const Path& folder, std::span<const TaskRow> rows,
        std::span<const Trial> trials, const TrialOptions& options)
      : workspace_(workspace), folder_(folder), rows_(rows), trials_(trials), options_(options) {
    const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    const int all = options.n_threads > 0 ? options.n_threads : cores;
    n_threads_ = std::max(1, all / std::max(1, options.parallel));
    results_.resize(trials.size());
  }

  Result<std::vector<TrialResult>> go() {
    if (options_.on_done) options_.on_done(0);
    std::vector<std::thread> threads;
    const size_t n = std::min(static_cast<size_t>(std::max(1, options_.parallel)), trials_.size());
    for (size_t i = 0; i < n; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (error_) return *error_;
    std::vector<TrialResult> out;
    for (std::optional<TrialResult>& result : results_) out.push_back(std::move(*result));
    return out;
  }

 private:
  void work() {
    for (size_t i = next_++; i < trials_.size(); i = next_++) {
      {
        const std::lock_guard lock(mutex_);
        if (error_) return;
      }
      Result<TrialResult> result = one(trials_[i]);
      const std::lock_guard lock(mutex_);
      if (!result) {
        if (!error_) error_ = std::move(result).error().at(trials_[i].name);
        return;
      }
      results_[i] = std::move(*result);
      if (options_.on_done) options_.on_done(++n_done_);
    }
  }

  Result<TrialResult> one(const Trial& trial) {
    const Path own = folder_ / trial.name;
    std::error_code ignored;
    if (std::filesystem::exists(own / kReport, ignored)) {
      Result<TrialResult> done = finished_trial(own / kReport);
      if (done) return done;  // else it is damaged, and done again
    }
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped; the same command goes on from here");
    return run_trial(workspace_, own, rows_, trial, n_threads_, options_.train);
  }

  const Workspace& workspace_;
  const Path& folder_;
  std::span<const TaskRow> rows_;
  std::span<const Trial> trials_;
  const TrialOptions& options_;
  int n_threads_ = 1;
  std::atomic<size_t> next_{0};
  std::mutex mutex_;  // of what follows
  std::vector<std::optional<TrialResult>> results_;
  std::optional<Error> error_;
  size_t n_done_ = 0;
};

}  // namespace

Result<Path> train_with_child(const Path& run, const Json& job) {
  return TRY(run_trainer(run, job, run.parent_path() / "train.log")).folder;
}

Result<std::vector<TrialResult>> run_trials(const Workspace& workspace, const Path& folder,
                                            std::span<const TaskRow> rows, std::span<const Trial> trials,
                                            const TrialOptions& options) {
  TRY(make_dirs(folder));
  const LockFile lock = TRY(LockFile::acquire(folder / "lock"));
  return Round(workspace, folder, rows, trials, options).go();
}

Result<PreparedRows> prepared_rows(Workspace& workspace) {
  if (!workspace.config().predict)
    return fail(ErrorCode::kInvalidArgument,
                "expected a workspace of predictions, with a section [task], got a language model's")
        .at((workspace.path() / "volant.toml").string());
  RunOptions until;
  until.until = "prepare";
  TRY(run_wheel(workspace, until));
  for (const PlannedStage& planned : TRY(plan_stages(workspace, false))) {
    if (std::string_view(planned.stage->name) != "prepare" || !planned.record) continue;
    const std::string digest = planned.record->outputs.at("rows");
    const PredictSection& section = *workspace.config().predict;
    return PreparedRows{TRY(artifact_path(workspace.registry(), digest)),
                        JsonObject{{"rows", digest},
                                   {"problem", section.problem},
                                   {"data", section.data},
                                   {"model", section.model},
                                   {"init_from", TRY(init_from_settings(workspace, false))},
                                   {"train", section.train}}};
  }
  return fail(ErrorCode::kInternal, "the rows were prepared, but there is no record of them");
}

Path trials_folder(const Workspace& workspace, const PreparedRows& rows, JsonObject settings) {
  settings["of"] = rows.key;
  return workspace.path() / ".volant" / "cv" / sha256_hex(dump_json(settings)).substr(0, kKeyDigits);
}

}  // namespace volant::predict
