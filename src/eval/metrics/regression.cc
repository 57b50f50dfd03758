#include "eval/metrics/regression.h"

#include "eval/metrics/checks.h"

namespace volant {
namespace {

Status check(std::span<const double> truth, std::span<const double> predicted, RowCounts counts,
             std::string_view metric) {
  TRY(check_rows(truth.size(), predicted.size(), metric));
  TRY(check_finite(truth, metric));
  TRY(check_finite(predicted, metric));
  return check_counts(counts, truth.size(), metric);
}

double squared_errors(std::span<const double> truth, std::span<const double> predicted, RowCounts counts) {
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    sum += times_of(counts, i) * (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
  return sum;
}

}  // namespace

Result<double> mean_squared_error(std::span<const double> truth, std::span<const double> predicted,
                                  RowCounts counts) {
  TRY(check(truth, predicted, counts, "mean squared error"));
  return squared_errors(truth, predicted, counts) / static_cast<double>(rows_in(counts, truth.size()));
}

Result<double> mean_absolute_error(std::span<const double> truth, std::span<const double> predicted,
                                   RowCounts counts) {
  TRY(check(truth, predicted, counts, "mean absolute error"));
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += times_of(counts, i) * std::abs(truth[i] - predicted[i]);
  return sum / static_cast<double>(rows_in(counts, truth.size()));
}

Result<double> r_squared(std::span<const double> truth, std::span<const double> predicted, RowCounts counts) {
  TRY(check(truth, predicted, counts, "R2"));
  const double mean = mean_of(truth, counts);
  double spread = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    spread += times_of(counts, i) * (truth[i] - mean) * (truth[i] - mean);
  if (spread == 0)
    return fail(ErrorCode::kInvalidArgument, "R2: expected true values that differ, all {} are {}",
                truth.size(), truth.front());
  return 1 - squared_errors(truth, predicted, counts) / spread;
}

}  // namespace volant
