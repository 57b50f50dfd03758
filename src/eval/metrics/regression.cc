#include "eval/metrics/regression.h"

#include <numeric>

#include "eval/metrics/checks.h"

namespace volant {
namespace {

Status check(std::span<const double> truth, std::span<const double> predicted, std::string_view metric) {
  TRY(check_rows(truth.size(), predicted.size(), metric));
  TRY(check_finite(truth, metric));
  return check_finite(predicted, metric);
}

double squared_errors(std::span<const double> truth, std::span<const double> predicted) {
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
  return sum;
}

}  // namespace

Result<double> mean_squared_error(std::span<const double> truth, std::span<const double> predicted) {
  TRY(check(truth, predicted, "mean squared error"));
  return squared_errors(truth, predicted) / static_cast<double>(truth.size());
}

Result<double> mean_absolute_error(std::span<const double> truth, std::span<const double> predicted) {
  TRY(check(truth, predicted, "mean absolute error"));
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += std::abs(truth[i] - predicted[i]);
  return sum / static_cast<double>(truth.size());
}

Result<double> r_squared(std::span<const double> truth, std::span<const double> predicted) {
  TRY(check(truth, predicted, "R2"));
  const double mean = std::accumulate(truth.begin(), truth.end(), 0.0) / static_cast<double>(truth.size());
  double spread = 0;
  for (const double y : truth) spread += (y - mean) * (y - mean);
  if (spread == 0)
    return fail(ErrorCode::kInvalidArgument, "R2: expected true values that differ, all {} are {}",
                truth.size(), truth.front());
  return 1 - squared_errors(truth, predicted) / spread;
}

}  // namespace volant
