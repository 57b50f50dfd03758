#include "eval/metrics/probability.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "eval/metrics/checks.h"

namespace volant {
namespace {

constexpr double kSumTolerance = 1e-3;
constexpr int kMaxBins = 1000;

using Step = RankedScores::Step;

Status both_classes(const std::vector<Step>& steps) {
  if (!steps.empty() && steps.back().positives > 0 && steps.back().negatives > 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              "ROC: expected rows of both classes, all {} rows are of class {}; there is no area to measure",
              steps.empty() ? 0 : steps.back().positives + steps.back().negatives,
              steps.empty() || steps.back().positives == 0 ? 0 : 1);
}

Status some_positives(const std::vector<Step>& steps) {
  if (!steps.empty() && steps.back().positives > 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              "precision-recall: expected at least one row of class 1, got none");
}

Status check_probabilities(std::span<const double> values, std::string_view metric) {
  TRY(check_finite(values, metric));
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] > 1)
      return fail(ErrorCode::kInvalidArgument,
                  "{}: expected probabilities from 0 to 1, got {} at position {}", metric, values[i], i);
  }
  return {};
}

// A matrix [labels.size(), n_classes] and labels that fit it.
Status check_matrix(std::span<const int32_t> labels, std::span<const double> values, int32_t n_classes,
                    std::string_view metric) {
  if (n_classes < 2)
    return fail(ErrorCode::kInvalidArgument, "{}: expected at least 2 classes, got {}", metric, n_classes);
  if (values.size() % static_cast<size_t>(n_classes) != 0)
    return fail(ErrorCode::kInvalidArgument, "{}: expected rows of {} values, got {} values", metric,
                n_classes, values.size());
  TRY(check_rows(labels.size(), values.size() / static_cast<size_t>(n_classes), metric));
  TRY(check_labels(labels, n_classes, metric));
  return check_finite(values, metric);
}

}  // namespace

Result<RankedScores> RankedScores::of(std::span<const int32_t> labels, std::span<const double> scores) {
  constexpr const char* kName = "ROC and precision-recall";
  TRY(check_rows(labels.size(), scores.size(), kName));
  TRY(check_labels(labels, 2, kName));
  TRY(check_finite(scores, kName));
  RankedScores ranked;
  ranked.rows_.reserve(labels.size());
  for (size_t i = 0; i < labels.size(); ++i)
    ranked.rows_.push_back({static_cast<uint32_t>(i), labels[i] == 1, true, scores[i]});
  std::ranges::sort(ranked.rows_, std::ranges::greater(), &Row::score);
  for (size_t i = 0; i + 1 < labels.size(); ++i)
    ranked.rows_[i].last_of_ties = ranked.rows_[i].score != ranked.rows_[i + 1].score;
  return ranked;
}

std::vector<Step> RankedScores::steps(RowCounts counts) const {
  std::vector<Step> steps;
  steps.reserve(rows_.size());
  double positives = 0, negatives = 0, seen = 0;
  for (const Row& row : rows_) {
    (row.positive ? positives : negatives) += times_of(counts, row.number);
    if (!row.last_of_ties || positives + negatives == seen) continue;
    seen = positives + negatives;
    steps.push_back({row.score, positives, negatives});
  }
  return steps;
}

Result<double> RankedScores::roc_auc(RowCounts counts) const {
  TRY(check_counts(counts, rows_.size(), "ROC"));
  const std::vector<Step> steps = this->steps(counts);
  TRY(both_classes(steps));
  double area = 0, positives = 0, negatives = 0;
  for (const Step& step : steps) {
    area += (step.negatives - negatives) * (step.positives + positives) / 2;
    positives = step.positives;
    negatives = step.negatives;
  }
  return area / (positives * negatives);
}

Result<double> RankedScores::average_precision(RowCounts counts) const {
  TRY(check_counts(counts, rows_.size(), "precision-recall"));
  const std::vector<Step> steps = this->steps(counts);
  TRY(some_positives(steps));
  double area = 0, positives = 0;
  for (const Step& step : steps) {
    area += (step.positives - positives) * step.positives / (step.positives + step.negatives);
    positives = step.positives;
  }
  return area / positives;
}

Result<std::vector<CurvePoint>> roc_curve(std::span<const int32_t> labels, std::span<const double> scores) {
  const std::vector<Step> steps = TRY(RankedScores::of(labels, scores)).steps();
  TRY(both_classes(steps));
  std::vector<CurvePoint> curve{{0, 0, std::numeric_limits<double>::infinity()}};
  for (const Step& step : steps) {
    curve.push_back(
        {step.negatives / steps.back().negatives, step.positives / steps.back().positives, step.score});
  }
  return curve;
}

Result<double> roc_auc(std::span<const int32_t> labels, std::span<const double> scores) {
  return TRY(RankedScores::of(labels, scores)).roc_auc();
}

Result<double> roc_auc_one_vs_rest(std::span<const int32_t> labels, std::span<const double> scores,
                                   int32_t n_classes) {
  TRY(check_matrix(labels, scores, n_classes, "ROC"));
  double sum = 0;
  std::vector<int32_t> is_class(labels.size());
  std::vector<double> of_class(labels.size());
  for (int32_t c = 0; c < n_classes; ++c) {
    for (size_t i = 0; i < labels.size(); ++i) {
      is_class[i] = labels[i] == c ? 1 : 0;
      of_class[i] = scores[i * static_cast<size_t>(n_classes) + static_cast<size_t>(c)];
    }
    Result<double> area = roc_auc(is_class, of_class);
    if (!area) return std::move(area).error().at(fmt::format("class {} against the rest", c));
    sum += *area;
  }
  return sum / n_classes;
}

Result<std::vector<CurvePoint>> precision_recall_curve(std::span<const int32_t> labels,
                                                       std::span<const double> scores) {
  const std::vector<Step> steps = TRY(RankedScores::of(labels, scores)).steps();
  TRY(some_positives(steps));
  std::vector<CurvePoint> curve;
  curve.reserve(steps.size());
  for (const Step& step : steps) {
    curve.push_back({step.positives / steps.back().positives,
                     step.positives / (step.positives + step.negatives), step.score});
  }
  return curve;
}

Result<double> average_precision(std::span<const int32_t> labels, std::span<const double> scores) {
  return TRY(RankedScores::of(labels, scores)).average_precision();
}

Result<std::vector<double>> log_losses(std::span<const int32_t> labels, std::span<const double> probabilities,
                                       int32_t n_classes) {
  TRY(check_matrix(labels, probabilities, n_classes, "log loss"));
  TRY(check_probabilities(probabilities, "log loss"));
  std::vector<double> losses;
  losses.reserve(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row =
        probabilities.subspan(i * static_cast<size_t>(n_classes), static_cast<size_t>(n_classes));
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    if (std::abs(sum - 1) > kSumTolerance)
      return fail(ErrorCode::kInvalidArgument,
                  "log loss: expected probabilities that sum to 1, row {} sums to {}", i, sum);
    losses.push_back(-std::log(
        std::max(row[static_cast<size_t>(labels[i])] / sum, std::numeric_limits<double>::epsilon())));
  }
  return losses;
}

Result<double> log_loss(std::span<const int32_t> labels, std::span<const double> probabilities,
                        int32_t n_classes) {
  return mean_of(TRY(log_losses(labels, probabilities, n_classes)));
}

Result<double> brier_score(std::span<const int32_t> labels, std::span<const double> probabilities,
                           RowCounts counts) {
  TRY(check_rows(labels.size(), probabilities.size(), "Brier score"));
  TRY(check_labels(labels, 2, "Brier score"));
  TRY(check_probabilities(probabilities, "Brier score"));
  TRY(check_counts(counts, labels.size(), "Brier score"));
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double off = probabilities[i] - labels[i];
    sum += times_of(counts, i) * off * off;
  }
  return sum / static_cast<double>(rows_in(counts, labels.size()));
}

Result<std::vector<CalibrationBin>> calibration_bins(std::span<const int32_t> correct,
                                                     std::span<const double> confidence, int n_bins,
                                                     RowCounts counts) {
  TRY(check_rows(correct.size(), confidence.size(), "calibration"));
  TRY(check_labels(correct, 2, "calibration"));
  TRY(check_probabilities(confidence, "calibration"));
  TRY(check_counts(counts, correct.size(), "calibration"));
  if (n_bins < 1 || n_bins > kMaxBins)
    return fail(ErrorCode::kInvalidArgument, "calibration: expected 1 to {} bins, got {}", kMaxBins, n_bins);
  std::vector<CalibrationBin> bins(static_cast<size_t>(n_bins));
  for (size_t i = 0; i < correct.size(); ++i) {
    const auto at = std::min(static_cast<size_t>(confidence[i] * n_bins), bins.size() - 1);
    const uint32_t times = times_of(counts, i);
    bins[at].confidence += times * confidence[i];
    bins[at].accuracy += times * correct[i];
    bins[at].rows += times;
  }
  for (CalibrationBin& bin : bins) {
    if (bin.rows == 0) continue;
    bin.confidence /= static_cast<double>(bin.rows);
    bin.accuracy /= static_cast<double>(bin.rows);
  }
  return bins;
}

Result<double> expected_calibration_error(std::span<const int32_t> correct,
                                          std::span<const double> confidence, int n_bins, RowCounts counts) {
  const std::vector<CalibrationBin> bins = TRY(calibration_bins(correct, confidence, n_bins, counts));
  double sum = 0;
  for (const CalibrationBin& bin : bins)
    sum += static_cast<double>(bin.rows) * std::abs(bin.accuracy - bin.confidence);
  return sum / static_cast<double>(rows_in(counts, correct.size()));
}

Result<double> top_k_accuracy(std::span<const int32_t> labels, std::span<const double> scores,
                              int32_t n_classes, int32_t k) {
  TRY(check_matrix(labels, scores, n_classes, "top-k accuracy"));
  if (k < 1 || k > n_classes)
    return fail(ErrorCode::kInvalidArgument, "top-k accuracy: expected k from 1 to {}, got {}", n_classes, k);
  int64_t hits = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = scores.subspan(i * static_cast<size_t>(n_classes), static_cast<size_t>(n_classes));
    const auto label = static_cast<size_t>(labels[i]);
    int32_t before = 0;
    for (size_t c = 0; c < row.size(); ++c)
      before += row[c] > row[label] || (row[c] == row[label] && c > label) ? 1 : 0;
    hits += before < k ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(labels.size());
}

}  // namespace volant
