#include "eval/report/prediction_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "base/clock.h"
#include "eval/metrics/classification.h"
#include "eval/metrics/regression.h"
#include "eval/report/class_intervals.h"
#include "eval/report/html.h"
#include "eval/significance.h"

namespace volant {
namespace {

constexpr int kManyClassSamples = 200;  // every class passes over all rows for every sample
constexpr int kCalibrationBins = 15;
constexpr size_t kMaxDrawnClasses = 64;
constexpr size_t kAreas = 2;  // the first of the figures below: under the ROC and the precision-recall curve
constexpr int32_t kTop = 5;   // for the share of rows whose class is among so many likeliest

// A classifier's rows.
struct Rows {
  int32_t n_classes = 0;
  std::span<const int32_t> truth = {};
  std::span<const double> probabilities = {};
  std::vector<int32_t> predicted = {}, correct = {};
  std::vector<double> confidence = {};
  std::vector<double> losses = {};  // of the logarithmic loss

  // Probabilities of a class.
  std::vector<double> column(int32_t label) const {
    std::vector<double> scores;
    scores.reserve(truth.size());
    for (size_t i = static_cast<size_t>(label); i < probabilities.size(); i += static_cast<size_t>(n_classes))
      scores.push_back(probabilities[i]);
    return scores;
  }
};

Result<Rows> rows_of(const ClassPredictions& given) {
  const size_t width = given.classes.size();
  if (width < 2 || width > static_cast<size_t>(kMaxClasses))
    return fail(ErrorCode::kInvalidArgument, "expected names of 2 to {} classes, got {}", kMaxClasses, width);
  if (!given.ids.empty() && given.ids.size() != given.truth.size())
    return fail(ErrorCode::kInvalidArgument, "expected an id for each of {} rows, got {}", given.truth.size(),
                given.ids.size());
  Rows rows{
      .n_classes = static_cast<int32_t>(width), .truth = given.truth, .probabilities = given.probabilities};
  rows.losses = TRY(log_losses(rows.truth, rows.probabilities, rows.n_classes));  // checks shapes and values
  for (size_t i = 0; i < rows.truth.size(); ++i) {
    const auto row = given.probabilities.subspan(i * width, width);
    const auto best = std::ranges::max_element(row);
    rows.predicted.push_back(static_cast<int32_t>(best - row.begin()));
    rows.confidence.push_back(*best);
    rows.correct.push_back(rows.predicted[i] == rows.truth[i] ? 1 : 0);
  }
  return rows;
}

struct FigureName {
  const char* name;
  bool higher_is_better;
};
constexpr std::array kOfClasses{FigureName{"balanced_accuracy", true}, FigureName{"f1_macro", true},
                                FigureName{"matthews_correlation", true}, FigureName{"log_loss", false},
                                FigureName{"calibration_error", false}};
constexpr std::array kOfTwoClasses{FigureName{"roc_auc", true}, FigureName{"average_precision", true},
                                   FigureName{"brier_score", false}};
constexpr std::array kOfManyClasses{FigureName{"roc_auc", true}, FigureName{"average_precision", true},
                                    FigureName{"brier_score", false}};
constexpr std::array kAverages{std::pair{"micro", Average::kMicro}, std::pair{"macro", Average::kMacro},
                               std::pair{"weighted", Average::kWeighted}};
constexpr std::array kAveraged{std::pair{"precision", &ClassScores::precision},
                               std::pair{"recall", &ClassScores::recall}, std::pair{"f1", &ClassScores::f1}};
constexpr std::array kOfNumbers{FigureName{"mean_squared_error", false},
                                FigureName{"mean_absolute_error", false}, FigureName{"r_squared", true}};

// Figures of a report's names from samples of the rows.
void add_estimates(std::span<const FigureName> names, const std::vector<Result<Estimate>>& estimates,
                   EvalReport& report) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (estimates[i])
      report.figures.push_back({names[i].name, *estimates[i], names[i].higher_is_better});
    else
      report.notes.push_back(
          fmt::format("{} is left out: {}", names[i].name, estimates[i].error().to_string()));
  }
}

// What needs no order of the scores, behind it the averages over classes, and the F1 of each class.
std::vector<Result<double>> decided_figures(const Rows& rows, RowCounts counts) {
  const Result<ConfusionMatrix> matrix =
      ConfusionMatrix::of(rows.truth, rows.predicted, rows.n_classes, counts);
  if (!matrix)
    return std::vector<Result<double>>(
        kOfClasses.size() + kAverages.size() * kAveraged.size() + static_cast<size_t>(rows.n_classes),
        matrix.error());
  std::vector<Result<double>> figures{
      matrix->balanced_accuracy(), matrix->average(Average::kMacro).f1, matrix->matthews_correlation(),
      mean_of(rows.losses, counts),
      expected_calibration_error(rows.correct, rows.confidence, kCalibrationBins, counts)};
  for (const auto& [name, kind] : kAverages) {
    const ClassScores scores = matrix->average(kind);
    for (const auto& [of, member] : kAveraged) figures.emplace_back(scores.*member);
  }
  for (int32_t c = 0; c < rows.n_classes; ++c) figures.emplace_back(matrix->of_class(c).f1);
  return figures;
}

std::vector<Result<double>> figures_of_two(const Rows& rows, const std::vector<double>& scores,
                                           const RankedScores& ranked, RowCounts counts) {
  return {ranked.roc_auc(counts), ranked.average_precision(counts), brier_score(rows.truth, scores, counts)};
}

// Where no sample of the rows differed: intervals in closed form, in the order of decided_figures().
// Matthews' correlation has none.
void widen_empty(const ConfusionMatrix& matrix, std::vector<Result<Estimate>>& decided) {
  const ClassIntervals intervals(matrix);
  const auto widen = [&decided](size_t at, const Estimate& wide) {
    if (decided[at] && is_empty(*decided[at])) decided[at] = wide;
  };
  widen(0, intervals.balanced_accuracy());
  widen(1, intervals.average(Average::kMacro, &ClassScores::f1));
  if (decided[2] && is_empty(*decided[2]))
    decided[2] = fail(ErrorCode::kInvalidArgument, "no sample of the rows differs in it");
  size_t at = kOfClasses.size();
  for (const auto& [name, kind] : kAverages)
    for (const auto& [of, member] : kAveraged) widen(at++, intervals.average(kind, member));
  for (int32_t c = 0; c < matrix.n_classes(); ++c) widen(at++, intervals.f1(c));
}

// Areas of classes that scores part without a fault: at least as sure as a share of so many rows as the
// smallest side has, each of which beats one of the other side.
void widen_areas(std::span<const int32_t> truth, int32_t n_classes, size_t n_areas,
                 std::vector<Result<Estimate>>& estimates) {
  std::vector<int64_t> of_class(static_cast<size_t>(n_classes));
  for (const int32_t label : truth) ++of_class[static_cast<size_t>(label)];
  int64_t smallest = std::ssize(truth);
  for (const int64_t n : of_class) smallest = std::min({smallest, n, std::ssize(truth) - n});
  for (size_t i = 0; i < n_areas; ++i) {
    if (!estimates[i] || !is_empty(*estimates[i]) || estimates[i]->value < 1) continue;
    if (const Result<Estimate> wide = share_estimate(smallest, smallest)) estimates[i] = *wide;
  }
}

// Shares of rows, with Wilson's intervals; a share of no rows is left out.
Status add_precision_and_recall(const Rows& rows, EvalReport& report) {
  const ConfusionMatrix matrix = TRY(ConfusionMatrix::of(rows.truth, rows.predicted, 2));
  for (const auto& [name, n, what] : {std::tuple("precision", matrix.predicted_rows(1), "said to be"),
                                      std::tuple("recall", matrix.true_rows(1), "truly")}) {
    if (n > 0)
      report.figures.push_back({name, TRY(share_estimate(matrix.at(1, 1), n))});
    else
      report.notes.push_back(fmt::format("{} is left out: no row is {} of the second class", name, what));
  }
  return {};
}

// Each class against the rest, sorted once.
Result<std::vector<RankedScores>> ranked_classes(const Rows& rows) {
  std::vector<RankedScores> ranked;
  std::vector<int32_t> is_class(rows.truth.size());
  for (int32_t c = 0; c < rows.n_classes; ++c) {
    for (size_t i = 0; i < is_class.size(); ++i) is_class[i] = rows.truth[i] == c ? 1 : 0;
    ranked.push_back(TRY(RankedScores::of(is_class, rows.column(c))));
  }
  return ranked;
}

Result<double> mean_area(const std::vector<RankedScores>& ranked,
                         Result<double> (RankedScores::*area)(RowCounts) const, RowCounts counts) {
  double sum = 0;
  for (size_t c = 0; c < ranked.size(); ++c) {
    Result<double> of_class = (ranked[c].*area)(counts);
    if (!of_class) return std::move(of_class).error().at(fmt::format("class {} against the rest", c));
    sum += *of_class;
  }
  return sum / static_cast<double>(ranked.size());
}

// Each row's squared distance of the probabilities from the truth, summed over classes: 0 to 2 (Brier 1950).
std::vector<double> squared_distances(const Rows& rows) {
  const auto width = static_cast<size_t>(rows.n_classes);
  std::vector<double> distances;
  for (size_t i = 0; i < rows.truth.size(); ++i) {
    double sum = 0;
    for (size_t c = 0; c < width; ++c) {
      const double off = rows.probabilities[i * width + c] - (std::cmp_equal(c, rows.truth[i]) ? 1.0 : 0.0);
      sum += off * off;
    }
    distances.push_back(sum);
  }
  return distances;
}

// The areas cost most: each class passes over all rows for every sample.
Status add_many_classes(const Rows& rows, const BootstrapOptions& options, EvalReport& report) {
  BootstrapOptions of_areas = options;
  of_areas.samples = std::min(options.samples, kManyClassSamples);
  const std::vector<RankedScores> ranked = TRY(ranked_classes(rows));
  const std::vector<double> distances = squared_distances(rows);
  const auto figures = [&](RowCounts counts) {
    return std::vector<Result<double>>{mean_area(ranked, &RankedScores::roc_auc, counts),
                                       mean_area(ranked, &RankedScores::average_precision, counts),
                                       mean_of(distances, counts)};
  };
  std::vector<Result<Estimate>> estimates = TRY(bootstrap_counts(rows.truth.size(), figures, of_areas));
  widen_areas(rows.truth, rows.n_classes, kAreas, estimates);
  add_estimates(kOfManyClasses, estimates, report);
  if (rows.n_classes <= kTop) return {};
  const double share = TRY(top_k_accuracy(rows.truth, rows.probabilities, rows.n_classes, kTop));
  report.figures.push_back(
      {"top_5_accuracy",
       TRY(share_estimate(std::llround(share * static_cast<double>(report.rows)), report.rows))});
  return {};
}

// Precision, recall and F1, each averaged in three ways: over rows, over classes, over classes by their rows.
Status add_averages(const std::vector<Result<Estimate>>& estimates, EvalReport& report) {
  ReportSection section{.key = "averages", .title = "Averages over classes", .heading = {"average"}};
  for (const auto& [of, member] : kAveraged) section.heading.push_back(figure_title(of));
  size_t next = 0;
  for (const auto& [name, kind] : kAverages) {
    JsonObject json;
    std::vector<std::string> cells{name};
    for (const auto& [of, member] : kAveraged) {
      const Estimate estimate = TRY(estimates[next++]);
      const NumberStyle style = style_of_figure({of, estimate});
      cells.push_back(
          fmt::format("{} ({})", format_number(estimate.value, style), format_interval(estimate, style)));
      json[of] = to_json(estimate);
    }
    section.json[name] = std::move(json);
    section.rows.push_back(std::move(cells));
  }
  report.sections.push_back(std::move(section));
  return {};
}

// Gives the F1 of each class.
Result<std::vector<Result<Estimate>>> add_figures(const Rows& rows, const BootstrapOptions& options,
                                                  EvalReport& report) {
  const size_t n = rows.truth.size();
  const auto right = std::ranges::count(rows.correct, 1);
  report.figures.push_back({"accuracy", TRY(share_estimate(right, report.rows))});
  std::vector<Result<Estimate>> decided = TRY(bootstrap_counts(
      n, [&](RowCounts counts) { return decided_figures(rows, counts); }, options));
  widen_empty(TRY(ConfusionMatrix::of(rows.truth, rows.predicted, rows.n_classes)), decided);
  add_estimates(kOfClasses, decided, report);
  decided.erase(decided.begin(), decided.begin() + std::ssize(kOfClasses));
  TRY(add_averages(decided, report));
  decided.erase(decided.begin(), decided.begin() + std::ssize(kAverages) * std::ssize(kAveraged));
  if (rows.n_classes == 2) {
    const std::vector<double> scores = rows.column(1);
    const RankedScores ranked = TRY(RankedScores::of(rows.truth, scores));
    std::vector<Result<Estimate>> of_two = TRY(bootstrap_counts(
        n, [&](RowCounts counts) { return figures_of_two(rows, scores, ranked, counts); }, options));
    widen_areas(rows.truth, 2, kAreas, of_two);
    TRY(add_precision_and_recall(rows, report));
    add_estimates(kOfTwoClasses, of_two, report);
    return decided;
  }
  TRY(add_many_classes(rows, options, report));
  return decided;
}

// Precision and recall are shares of rows; F1 is not and is resampled.
Status add_classes(const Rows& rows, const ClassPredictions& given, const std::vector<Result<Estimate>>& f1,
                   EvalReport& report) {
  const ConfusionMatrix matrix = TRY(ConfusionMatrix::of(rows.truth, rows.predicted, rows.n_classes));
  for (int32_t c = 0; c < rows.n_classes; ++c) {
    FigureGroup group{.name = given.classes[static_cast<size_t>(c)], .rows = matrix.true_rows(c)};
    if (const int64_t predicted = matrix.predicted_rows(c); predicted > 0)
      group.figures.push_back({"precision", TRY(share_estimate(matrix.at(c, c), predicted))});
    if (group.rows > 0) {
      group.figures.push_back({"recall", TRY(share_estimate(matrix.at(c, c), group.rows))});
      group.figures.push_back({"f1", TRY(f1[static_cast<size_t>(c)])});
    }
    if (!group.figures.empty()) report.groups.push_back(std::move(group));
  }
  if (given.classes.size() > kMaxDrawnClasses) return {};
  report.confusion.classes = given.classes;
  for (int32_t t = 0; t < rows.n_classes; ++t) {
    for (int32_t p = 0; p < rows.n_classes; ++p) report.confusion.counts.push_back(matrix.at(t, p));
  }
  return {};
}

void add_ids(const std::vector<std::string>& ids, size_t n_rows, EvalReport& report) {
  report.row_ids = ids;
  for (size_t i = report.row_ids.size(); i < n_rows; ++i) report.row_ids.push_back(std::to_string(i));
}

void add_row_scores(const Rows& rows, EvalReport& report) {
  report.row_scores["accuracy"].assign(rows.correct.begin(), rows.correct.end());
  report.row_scores["log_loss"] = rows.losses;
}

}  // namespace

Result<EvalReport> classification_report(const ClassPredictions& predictions,
                                         const BootstrapOptions& options) {
  const Rows rows = TRY(rows_of(predictions));
  EvalReport report{.created_at = now_iso8601(), .rows = static_cast<int64_t>(rows.truth.size())};
  TRY(add_classes(rows, predictions, TRY(add_figures(rows, options, report)), report));
  add_ids(predictions.ids, rows.truth.size(), report);
  add_row_scores(rows, report);
  report.calibration = TRY(calibration_bins(rows.correct, rows.confidence, kCalibrationBins));
  if (rows.n_classes == 2) {
    Result<std::vector<CurvePoint>> curve = roc_curve(rows.truth, rows.column(1));
    if (curve) report.roc = std::move(curve).value();
    Result<std::vector<CurvePoint>> precisions = precision_recall_curve(rows.truth, rows.column(1));
    if (precisions) report.precision_recall = std::move(precisions).value();
  }
  report.settings = {{"bootstrap_samples", options.samples}, {"seed", options.seed}};
  return report;
}

Result<EvalReport> regression_report(std::span<const double> truth, std::span<const double> predicted,
                                     const std::vector<std::string>& ids, const BootstrapOptions& options) {
  TRY(mean_squared_error(truth, predicted));  // checks shapes and values
  if (!ids.empty() && ids.size() != truth.size())
    return fail(ErrorCode::kInvalidArgument, "expected an id for each of {} rows, got {}", truth.size(),
                ids.size());
  EvalReport report{.created_at = now_iso8601(), .rows = static_cast<int64_t>(truth.size())};
  const auto figures = [&](RowCounts counts) {
    return std::vector{mean_squared_error(truth, predicted, counts),
                       mean_absolute_error(truth, predicted, counts), r_squared(truth, predicted, counts)};
  };
  add_estimates(kOfNumbers, TRY(bootstrap_counts(truth.size(), figures, options)), report);
  add_ids(ids, truth.size(), report);
  for (size_t i = 0; i < truth.size(); ++i) {
    const double off = truth[i] - predicted[i];
    report.row_scores["mean_squared_error"].push_back(off * off);
    report.row_scores["mean_absolute_error"].push_back(std::abs(off));
  }
  report.settings = {{"bootstrap_samples", options.samples}, {"seed", options.seed}};
  return report;
}

}  // namespace volant
