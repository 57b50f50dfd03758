#include "eval/metrics/classification.h"

#include <cmath>

#include "eval/metrics/checks.h"

namespace volant {
namespace {

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }
double ratio(int64_t part, int64_t whole) {
  return ratio(static_cast<double>(part), static_cast<double>(whole));
}

ClassScores scores_of(int64_t hits, int64_t predicted, int64_t truly) {
  return {.precision = ratio(hits, predicted),
          .recall = ratio(hits, truly),
          .f1 = ratio(2 * hits, predicted + truly)};
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int32_t n_classes, int64_t n_rows)
    : n_classes_(n_classes),
      n_rows_(n_rows),
      counts_(static_cast<size_t>(n_classes) * static_cast<size_t>(n_classes)),
      true_rows_(static_cast<size_t>(n_classes)),
      predicted_rows_(static_cast<size_t>(n_classes)) {}

Result<ConfusionMatrix> ConfusionMatrix::of(std::span<const int32_t> truth,
                                            std::span<const int32_t> predicted, int32_t n_classes,
                                            RowCounts counts) {
  constexpr const char* kName = "confusion matrix";
  TRY(check_rows(truth.size(), predicted.size(), kName));
  if (n_classes < 1 || n_classes > kMaxClasses)
    return fail(ErrorCode::kLimit, "{}: expected 1 to {} classes, got {}", kName, kMaxClasses, n_classes);
  TRY(check_labels(truth, n_classes, kName));
  TRY(check_labels(predicted, n_classes, kName));
  TRY(check_counts(counts, truth.size(), kName));
  ConfusionMatrix matrix(n_classes, rows_in(counts, truth.size()));
  for (size_t i = 0; i < truth.size(); ++i) {
    const auto truly = static_cast<size_t>(truth[i]), said = static_cast<size_t>(predicted[i]);
    const int64_t times = times_of(counts, i);
    matrix.counts_[truly * static_cast<size_t>(n_classes) + said] += times;
    matrix.true_rows_[truly] += times;
    matrix.predicted_rows_[said] += times;
  }
  return matrix;
}

int64_t ConfusionMatrix::correct() const {
  int64_t sum = 0;
  for (int32_t c = 0; c < n_classes_; ++c) sum += at(c, c);
  return sum;
}

double ConfusionMatrix::accuracy() const { return ratio(correct(), n_rows_); }

double ConfusionMatrix::balanced_accuracy() const {
  double sum = 0;
  int seen = 0;
  for (int32_t c = 0; c < n_classes_; ++c) {
    if (true_rows(c) == 0) continue;
    sum += of_class(c).recall;
    ++seen;
  }
  return ratio(sum, seen);
}

double ConfusionMatrix::matthews_correlation() const {
  const auto n = static_cast<double>(n_rows_);
  double products = 0, true_squares = 0, predicted_squares = 0;
  for (int32_t c = 0; c < n_classes_; ++c) {
    const auto truly = static_cast<double>(true_rows(c)), predicted = static_cast<double>(predicted_rows(c));
    products += truly * predicted;
    true_squares += truly * truly;
    predicted_squares += predicted * predicted;
  }
  const double above = static_cast<double>(correct()) * n - products;
  return ratio(above, std::sqrt((n * n - true_squares) * (n * n - predicted_squares)));
}

double ConfusionMatrix::cohen_kappa() const {
  const auto n = static_cast<double>(n_rows_);
  double by_chance = 0;
  for (int32_t c = 0; c < n_classes_; ++c)
    by_chance += static_cast<double>(true_rows(c)) * static_cast<double>(predicted_rows(c)) / (n * n);
  return ratio(accuracy() - by_chance, 1 - by_chance);
}

ClassScores ConfusionMatrix::of_class(int32_t label) const {
  return scores_of(at(label, label), predicted_rows(label), true_rows(label));
}

ClassScores ConfusionMatrix::average(Average kind) const {
  if (kind == Average::kMicro) return scores_of(correct(), n_rows_, n_rows_);
  ClassScores sum;
  double weights = 0;
  for (int32_t c = 0; c < n_classes_; ++c) {
    const int64_t truly = true_rows(c);
    if (truly == 0 && predicted_rows(c) == 0) continue;
    const double weight = kind == Average::kMacro ? 1 : static_cast<double>(truly);
    const ClassScores scores = of_class(c);
    sum.precision += weight * scores.precision;
    sum.recall += weight * scores.recall;
    sum.f1 += weight * scores.f1;
    weights += weight;
  }
  return {sum.precision / weights, sum.recall / weights, sum.f1 / weights};
}

}  // namespace volant
