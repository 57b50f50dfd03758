#include "eval/report/prediction_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "eval/metrics/classification.h"
#include "eval/metrics/regression.h"
#include "eval/significance.h"

namespace volant {
namespace {

constexpr int kManyClassSamples = 200;  // sorting every class anew for every sample is slow
constexpr size_t kMaxDrawnClasses = 64;

// A classifier's rows, and any choice of them in the same shape.
struct Rows {
  int32_t n_classes = 0;
  std::vector<int32_t> truth = {}, predicted = {}, correct = {};
  std::vector<double> probabilities = {}, confidence = {};

  Rows at(std::span<const size_t> rows) const {
    const auto width = static_cast<size_t>(n_classes);
    Rows chosen{.n_classes = n_classes};
    for (const size_t row : rows) {
      chosen.truth.push_back(truth[row]);
      chosen.predicted.push_back(predicted[row]);
      chosen.correct.push_back(correct[row]);
      chosen.confidence.push_back(confidence[row]);
      const auto begin = probabilities.begin() + static_cast<ptrdiff_t>(row * width);
      chosen.probabilities.insert(chosen.probabilities.end(), begin, begin + n_classes);
    }
    return chosen;
  }
  Result<ConfusionMatrix> matrix() const { return ConfusionMatrix::of(truth, predicted, n_classes); }
  // Probabilities of class 1 of two.
  std::vector<double> second() const {
    std::vector<double> scores;
    for (size_t i = 1; i < probabilities.size(); i += 2) scores.push_back(probabilities[i]);
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
  Rows rows{.n_classes = static_cast<int32_t>(width)};
  TRY(log_loss(given.truth, given.probabilities, rows.n_classes));  // checks every shape and value
  rows.truth.assign(given.truth.begin(), given.truth.end());
  rows.probabilities.assign(given.probabilities.begin(), given.probabilities.end());
  for (size_t i = 0; i < rows.truth.size(); ++i) {
    const auto row = given.probabilities.subspan(i * width, width);
    const auto best = std::ranges::max_element(row);
    rows.predicted.push_back(static_cast<int32_t>(best - row.begin()));
    rows.confidence.push_back(*best);
    rows.correct.push_back(rows.predicted[i] == rows.truth[i] ? 1 : 0);
  }
  return rows;
}

using Metric = std::function<Result<double>(const Rows&)>;
struct NamedMetric {
  const char* name;
  bool higher_is_better;
  Metric of;
};

std::vector<NamedMetric> metrics_of(int32_t n_classes) {
  const auto of_matrix = [](auto figure) -> Metric {
    return [figure](const Rows& rows) -> Result<double> { return figure(TRY(rows.matrix())); };
  };
  std::vector<NamedMetric> metrics{
      {"balanced_accuracy", true, of_matrix([](const ConfusionMatrix& m) { return m.balanced_accuracy(); })},
      {"f1_macro", true, of_matrix([](const ConfusionMatrix& m) { return m.average(Average::kMacro).f1; })},
      {"matthews_correlation", true,
       of_matrix([](const ConfusionMatrix& m) { return m.matthews_correlation(); })},
      {"log_loss", false, [](const Rows& r) { return log_loss(r.truth, r.probabilities, r.n_classes); }},
      {"calibration_error", false,
       [](const Rows& r) { return expected_calibration_error(r.correct, r.confidence); }}};
  if (n_classes > 2) {
    metrics.push_back({"roc_auc", true, [](const Rows& r) {
                         return roc_auc_one_vs_rest(r.truth, r.probabilities, r.n_classes);
                       }});
    return metrics;
  }
  const std::vector<NamedMetric> binary{
      {"precision", true, of_matrix([](const ConfusionMatrix& m) { return m.of_class(1).precision; })},
      {"recall", true, of_matrix([](const ConfusionMatrix& m) { return m.of_class(1).recall; })},
      {"roc_auc", true, [](const Rows& r) { return roc_auc(r.truth, r.second()); }},
      {"average_precision", true, [](const Rows& r) { return average_precision(r.truth, r.second()); }},
      {"brier_score", false, [](const Rows& r) { return brier_score(r.truth, r.second()); }}};
  metrics.insert(metrics.end(), binary.begin(), binary.end());
  return metrics;
}

Status add_figures(const Rows& rows, const BootstrapOptions& options, EvalReport& report) {
  const auto right = std::ranges::count(rows.correct, 1);
  report.figures.push_back({"accuracy", TRY(share_estimate(right, report.rows))});
  for (const NamedMetric& metric : metrics_of(rows.n_classes)) {
    BootstrapOptions of_metric = options;
    if (rows.n_classes > 2 && std::string_view(metric.name) == "roc_auc")
      of_metric.samples = std::min(options.samples, kManyClassSamples);
    const Result<Estimate> estimate = bootstrap(
        rows.truth.size(), [&](std::span<const size_t> chosen) { return metric.of(rows.at(chosen)); },
        of_metric);
    if (estimate) {
      report.figures.push_back({metric.name, *estimate, metric.higher_is_better});
    } else {
      report.notes.push_back(fmt::format("{} is left out: {}", metric.name, estimate.error().to_string()));
    }
  }
  return {};
}

// Precision and recall are shares of rows; F1 is not and is resampled.
Status add_classes(const Rows& rows, const ClassPredictions& given, const BootstrapOptions& options,
                   EvalReport& report) {
  const ConfusionMatrix matrix = TRY(rows.matrix());
  for (int32_t c = 0; c < rows.n_classes; ++c) {
    FigureGroup group{.name = given.classes[static_cast<size_t>(c)], .rows = matrix.true_rows(c)};
    if (const int64_t predicted = matrix.predicted_rows(c); predicted > 0)
      group.figures.push_back({"precision", TRY(share_estimate(matrix.at(c, c), predicted))});
    if (group.rows > 0) {
      group.figures.push_back({"recall", TRY(share_estimate(matrix.at(c, c), group.rows))});
      const RowMetric f1 = [&rows, c](std::span<const size_t> chosen) -> Result<double> {
        int64_t hits = 0, either = 0;
        for (const size_t row : chosen) {
          const bool truly = rows.truth[row] == c, said = rows.predicted[row] == c;
          hits += truly && said ? 1 : 0;
          either += (truly ? 1 : 0) + (said ? 1 : 0);
        }
        return either == 0 ? 0 : 2 * static_cast<double>(hits) / static_cast<double>(either);
      };
      group.figures.push_back({"f1", TRY(bootstrap(rows.truth.size(), f1, options))});
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
  const auto width = static_cast<size_t>(rows.n_classes);
  for (size_t i = 0; i < rows.truth.size(); ++i) {
    const double p = rows.probabilities[i * width + static_cast<size_t>(rows.truth[i])];
    report.row_scores["accuracy"].push_back(rows.correct[i]);
    report.row_scores["log_loss"].push_back(-std::log(std::max(p, std::numeric_limits<double>::epsilon())));
  }
}

}  // namespace

Result<EvalReport> classification_report(const ClassPredictions& predictions,
                                         const BootstrapOptions& options) {
  const Rows rows = TRY(rows_of(predictions));
  EvalReport report{.created_at = now_iso8601(), .rows = static_cast<int64_t>(rows.truth.size())};
  TRY(add_figures(rows, options, report));
  TRY(add_classes(rows, predictions, options, report));
  add_ids(predictions.ids, rows.truth.size(), report);
  add_row_scores(rows, report);
  report.calibration = TRY(calibration_bins(rows.correct, rows.confidence));
  if (rows.n_classes == 2) {
    Result<std::vector<CurvePoint>> curve = roc_curve(rows.truth, rows.second());
    if (curve) report.roc = std::move(curve).value();
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
  using Function = Result<double> (*)(std::span<const double>, std::span<const double>);
  const auto add = [&](const char* name, bool higher_is_better, Function metric) {
    const RowMetric of_rows = [&](std::span<const size_t> rows) {
      std::vector<double> t, p;
      for (const size_t row : rows) {
        t.push_back(truth[row]);
        p.push_back(predicted[row]);
      }
      return metric(t, p);
    };
    const Result<Estimate> estimate = bootstrap(truth.size(), of_rows, options);
    if (estimate) {
      report.figures.push_back({name, *estimate, higher_is_better});
    } else {
      report.notes.push_back(fmt::format("{} is left out: {}", name, estimate.error().to_string()));
    }
  };
  add("mean_squared_error", false, mean_squared_error);
  add("mean_absolute_error", false, mean_absolute_error);
  add("r_squared", true, r_squared);
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
