#include "wheel/predict/cross_validation.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/digest.h"
#include "eval/folds.h"
#include "tasks/row_files.h"
#include "tasks/split.h"
#include "wheel/predict/stages.h"
#include "wheel/predict/trial_report.h"
#include "wheel/stages.h"

namespace volant::predict {
namespace {

// Numbers of names, in their order; of all rows.
template <class Number>
std::vector<Number> numbers_of(std::span<const TaskRow> rows, const std::string TaskRow::*name) {
  std::map<std::string, Number> known;
  for (const TaskRow& row : rows) known.emplace(row.*name, 0);
  Number next = 0;
  for (auto& [text, number] : known) number = next++;
  std::vector<Number> out;
  for (const TaskRow& row : rows) out.push_back(known.at(row.*name));
  return out;
}

// As numbers where all are, in the order of their texts otherwise (dates).
std::vector<double> times_of(std::span<const TaskRow> rows) {
  std::vector<double> times;
  for (const TaskRow& row : rows) {
    const std::optional<double> time = parse_number(row.time);
    if (!time) return numbers_of<double>(rows, &TaskRow::time);
    times.push_back(*time);
  }
  return times;
}

Status check_names(std::span<const TaskRow> rows, const std::string& kind) {
  if (kind != "group" && kind != "time") return {};
  for (const TaskRow& row : rows)
    if ((kind == "group" ? row.group : row.time).empty())
      return fail(ErrorCode::kInvalidArgument,
                  "folds by {0}, but a row has no {0}: name its column with {0} = \"...\" in [data]", kind)
          .at("row '" + row.id + "'");
  return {};
}

uint64_t input_digest(const TaskRow& row) { return hash64(dump_json(row.input), 0); }

// The rows of each different input, which stay on one side as in every split; of equal inputs with several
// labels the first label counts.
std::vector<std::vector<size_t>> units_of(std::span<const TaskRow> rows) {
  std::vector<std::vector<size_t>> units;
  std::unordered_map<uint64_t, size_t> known;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto [found, is_new] = known.try_emplace(input_digest(rows[i]), units.size());
    if (is_new) units.emplace_back();
    units[found->second].push_back(i);
  }
  return units;
}

// Leaves out of each fold's training part the rows whose input its test part has.
Status separate_inputs(std::span<const TaskRow> rows, std::vector<Fold>& folds) {
  std::vector<uint64_t> digests;
  for (const TaskRow& row : rows) digests.push_back(input_digest(row));
  for (size_t i = 0; i < folds.size(); ++i) {
    std::unordered_set<uint64_t> tested;
    for (const size_t row : folds[i].test) tested.insert(digests[row]);
    std::erase_if(folds[i].train, [&](size_t row) { return tested.contains(digests[row]); });
    if (folds[i].train.empty())
      return fail(ErrorCode::kInvalidArgument,
                  "fold {} has nothing to learn from: every row has an input that it tests", i + 1);
  }
  return {};
}

std::vector<size_t> rows_of(const std::vector<std::vector<size_t>>& units,
                            const std::vector<size_t>& chosen) {
  std::vector<size_t> rows;
  for (const size_t unit : chosen) rows.insert(rows.end(), units[unit].begin(), units[unit].end());
  std::ranges::sort(rows);
  return rows;
}

Result<std::vector<Fold>> folds_of_inputs(std::span<const TaskRow> rows, bool stratified,
                                          const FoldOptions& options) {
  const std::vector<std::vector<size_t>> units = units_of(rows);
  std::vector<int32_t> labels;
  const std::vector<int32_t> label_of = numbers_of<int32_t>(rows, &TaskRow::label);
  for (const std::vector<size_t>& unit : units) labels.push_back(label_of[unit.front()]);
  std::vector<Fold> folds =
      TRY(stratified ? stratified_k_fold(labels, options) : k_fold(units.size(), options));
  for (Fold& fold : folds) fold = {rows_of(units, fold.train), rows_of(units, fold.test)};
  return folds;
}

Result<std::vector<Fold>> folds_of(std::span<const TaskRow> rows, const std::string& kind,
                                   const CrossValidationOptions& options) {
  const FoldOptions folds{.k = options.k, .repeats = options.repeats, .seed = options.seed};
  TRY(check_names(rows, kind));
  if (kind == "random" || kind == "stratified") return folds_of_inputs(rows, kind == "stratified", folds);
  if (kind == "group") return grouped_k_fold(numbers_of<int64_t>(rows, &TaskRow::group), folds);
  if (kind != "time")
    return fail(ErrorCode::kInvalidArgument, "expected folds of stratified, random, group or time, got '{}'",
                kind);
  if (options.repeats != 1)
    return fail(ErrorCode::kInvalidArgument,
                "folds by time are the same each time: expected one repeat, got {}", options.repeats);
  return time_ordered_folds(times_of(rows), options.k);
}

int64_t n_tested(std::span<const Trial> trials) {
  int64_t n = 0;
  for (const Trial& trial : trials) n += std::ssize(trial.test);
  return n;
}

// Test rows whose input the fold also learns from: folds by group or time do not look at inputs.
int64_t count_seen(std::span<const TaskRow> rows, std::span<const Trial> trials) {
  int64_t n = 0;
  for (const Trial& trial : trials) {
    std::unordered_set<uint64_t> learned;
    for (const auto* part : {&trial.train, &trial.validation})
      for (const size_t row : *part) learned.insert(input_digest(rows[row]));
    n += std::ranges::count_if(trial.test,
                               [&](size_t row) { return learned.contains(input_digest(rows[row])); });
  }
  return n;
}

}  // namespace

Result<std::string> fold_kind(std::span<const TaskRow> rows, const JsonObject& data,
                              const std::string& kind) {
  if (!kind.empty()) return kind;
  JsonObject of_split = data;
  const std::string by = TRY(take_split_options(of_split)).by;
  if (!by.empty()) return by;
  return std::string(!rows.empty() && !rows[0].label.empty() ? "stratified" : "random");
}

Result<std::vector<Trial>> fold_trials(std::span<const TaskRow> rows, const JsonObject& data,
                                       const CrossValidationOptions& options) {
  JsonObject of_split = data;
  SplitOptions split = TRY(take_split_options(of_split));
  split.test_share = 0;
  split.by = TRY(fold_kind(rows, data, options.kind));
  std::vector<Fold> folds = TRY(folds_of(rows, split.by, options));
  if (options.separate_inputs) TRY(separate_inputs(rows, folds));
  std::vector<Trial> trials;
  for (const Fold& fold : folds) {
    Trial trial{.name = fmt::format("fold-{:03}", trials.size() + 1),
                .train = {},
                .validation = {},
                .test = fold.test};
    std::vector<TaskRow> learned;
    for (const size_t row : fold.train) learned.push_back(rows[row]);
    const std::vector<Part> parts =
        TRY(split_rows(learned, std::vector<std::string>(learned.size(), "train"), split));
    for (size_t i = 0; i < parts.size(); ++i)
      (parts[i] == Part::kValidation ? trial.validation : trial.train).push_back(fold.train[i]);
    trials.push_back(std::move(trial));
  }
  return trials;
}

Result<EvalReport> report_folds(std::span<const TrialResult> folds) {
  double ratio = 0;  // test rows for each row that trained
  for (const TrialResult& fold : folds)
    ratio += static_cast<double>(fold.test_rows) / static_cast<double>(fold.train_rows) /
             static_cast<double>(folds.size());
  EvalReport report = TRY(report_trials(folds, {.key = "folds",
                                                .title = "Folds",
                                                .each = "fold",
                                                .over = "mean over folds",
                                                .test_per_train = ratio}));
  report.notes.emplace_back(
      "Folds share training rows, so that Student's interval is too narrow; the corrected one (Nadeau and "
      "Bengio 2003) is the one to go by. The test rows of the workspace took no part.");
  report.intervals =
      "Intervals are 95 %: of means over folds Student's, corrected for shared training rows (Nadeau and Bengio "
      "2003); of a single fold Wilson's for shares of rows, bootstrap otherwise.";
  return report;
}

Result<EvalReport> cross_validate(Workspace& workspace, const CrossValidationOptions& options) {
  const PreparedRows prepared = TRY(prepared_rows(workspace));
  std::vector<TaskRow> rows = TRY(read_task_rows(prepared.folder / kTrainRows));
  std::vector<TaskRow> validation = TRY(read_task_rows(prepared.folder / kValidationRows));
  std::ranges::move(validation, std::back_inserter(rows));
  const JsonObject& data = workspace.config().predict->data;
  const std::vector<Trial> trials = TRY(fold_trials(rows, data, options));
  JsonObject settings{{"k", options.k},
                      {"repeats", options.repeats},
                      {"kind", TRY(fold_kind(rows, data, options.kind))},
                      {"seed", options.seed}};
  if (options.separate_inputs) settings["separate_inputs"] = true;
  const Path folder = trials_folder(workspace, prepared, settings);
  EvalReport report = TRY(report_folds(TRY(run_trials(workspace, folder, rows, trials, options.trials))));
  report.title = fmt::format("{}: {}-fold cross-validation", workspace.config().name, options.k);
  report.suite = "training and validation rows";
  report.rows = std::ssize(rows);
  report.settings = settings;
  if (const int64_t seen = count_seen(rows, trials); seen > 0)
    report.notes.push_back(fmt::format(
        "{} of {} test rows have an input that their fold learns from too (another group or an "
        "earlier time has the same): the figures may flatter; --separate-inputs leaves such rows out "
        "of the training parts",
        seen, n_tested(trials)));
  return report;
}

}  // namespace volant::predict
