#include "wheel/predict/learning_curve.h"

#include <algorithm>
#include <numeric>

#include "base/digest.h"
#include "eval/learning_curve.h"
#include "wheel/predict/stages.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

Result<std::vector<double>> sorted_shares(std::vector<double> shares) {
  std::ranges::sort(shares);
  for (size_t i = 0; i < shares.size(); ++i)
    if (!(shares[i] > 0 && shares[i] <= 1) || (i > 0 && shares[i] == shares[i - 1]))
      return fail(ErrorCode::kInvalidArgument,
                  "learning curve: expected different shares above 0 and at most 1, got {}", shares[i]);
  if (shares.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "learning curve: expected at least two shares, got {}",
                shares.size());
  return shares;
}

// Row numbers from `begin` to `end`.
std::vector<size_t> range(size_t begin, size_t end) {
  std::vector<size_t> numbers(end - begin);
  std::iota(numbers.begin(), numbers.end(), begin);
  return numbers;
}

}  // namespace

Result<EvalReport> learning_curve(Workspace& workspace, const LearningCurveOptions& options) {
  const std::vector<double> shares = TRY(sorted_shares(options.shares));
  const PreparedRows prepared = TRY(prepared_rows(workspace));
  std::vector<TaskRow> rows = TRY(read_task_rows(prepared.folder / kTrainRows));
  std::vector<TaskRow> validation = TRY(read_task_rows(prepared.folder / kValidationRows)),
                       test = TRY(read_task_rows(prepared.folder / kTestRows));
  const size_t n_train = rows.size(), n_validation = validation.size();
  std::ranges::sort(rows, {}, [&](const TaskRow& row) { return hash64(row.id, options.seed); });
  std::ranges::move(validation, std::back_inserter(rows));
  std::ranges::move(test, std::back_inserter(rows));
  std::vector<Trial> trials;
  for (const double share : shares) {
    const auto n = std::max<size_t>(1, static_cast<size_t>(share * static_cast<double>(n_train)));
    if (!trials.empty() && trials.back().train.size() >= n)
      return fail(ErrorCode::kInvalidArgument,
                  "learning curve: shares of {} rows that are the same {} rows; take fewer shares", n_train,
                  n);
    trials.push_back({.name = fmt::format("rows-{}", n),
                      .train = range(0, n),
                      .validation = range(n_train, n_train + n_validation),
                      .test = range(n_train + n_validation, rows.size())});
  }
  const JsonObject settings{{"learning_curve", true}, {"seed", options.seed}};
  const Path folder = trials_folder(workspace, prepared, settings);
  std::vector<TrialResult> results = TRY(run_trials(workspace, folder, rows, trials, options.trials));
  const std::string figure =
      workspace.config().predict->problem == "number" ? "mean_squared_error" : "accuracy";
  std::vector<CurveSample> samples;
  for (const TrialResult& result : results) {
    const auto found = std::ranges::find(result.report.figures, figure, &Figure::name);
    if (found == result.report.figures.end())
      return fail(ErrorCode::kInternal, "the report has no {}", figure).at(result.report.title);
    const Estimate& e = found->estimate;
    samples.push_back({static_cast<double>(result.train_rows),
                       figure == "accuracy" ? Estimate{1 - e.value, 1 - e.high, 1 - e.low} : e});
  }
  EvalReport report = std::move(results.back().report);
  report.sections.clear();
  TRY(add_learning_curve(samples, figure, report));
  report.title = workspace.config().name + ": learning curve";
  report.suite = "test rows";
  JsonArray list;
  for (const double share : shares) list.emplace_back(share);
  report.settings = {{"shares", std::move(list)}, {"seed", options.seed}};
  return report;
}

}  // namespace volant::predict
