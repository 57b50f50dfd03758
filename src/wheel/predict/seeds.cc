#include "wheel/predict/seeds.h"

#include <numeric>

#include "wheel/predict/stages.h"
#include "wheel/predict/trial_report.h"
#include "wheel/stages.h"

namespace volant::predict {

Result<EvalReport> repeat_seeds(Workspace& workspace, const SeedOptions& options) {
  const PreparedRows prepared = TRY(prepared_rows(workspace));
  std::vector<TaskRow> rows;
  const auto numbers_of = [&](const char* file) -> Result<std::vector<size_t>> {
    std::vector<TaskRow> part = TRY(read_task_rows(prepared.folder / file));
    std::vector<size_t> numbers(part.size());
    std::iota(numbers.begin(), numbers.end(), rows.size());
    std::ranges::move(part, std::back_inserter(rows));
    return numbers;
  };
  Trial trial{.name = {},
              .train = TRY(numbers_of(kTrainRows)),
              .validation = TRY(numbers_of(kValidationRows)),
              .test = TRY(numbers_of(kTestRows))};
  std::vector<Trial> trials;
  for (int i = 0; i < options.n; ++i) {
    trial.seed = options.seed + static_cast<uint64_t>(i);
    trial.name = fmt::format("seed-{}", *trial.seed);
    trials.push_back(trial);
  }
  const Path folder = trials_folder(workspace, prepared, JsonObject{{"seeds", true}});
  const std::vector<TrialResult> results = TRY(run_trials(workspace, folder, rows, trials, options.trials));
  EvalReport report = TRY(report_trials(
      results, {.key = "seeds", .title = "Trainings", .each = "training", .over = "mean over seeds"}));
  report.title = fmt::format("{}: {} trainings with other seeds", workspace.config().name, options.n);
  report.suite = "test rows";
  report.rows = std::ssize(trial.test);
  report.settings = {{"seeds", options.n}, {"first_seed", options.seed}};
  report.notes.emplace_back(
      "The interval of a mean is of the luck of training alone: all are judged on the same test rows, whose own "
      "luck is in the interval of each training.");
  report.intervals =
      "Intervals are 95 %: of means over seeds Student's; of a single training Wilson's for shares of rows, "
      "bootstrap otherwise.";
  return report;
}

}  // namespace volant::predict
