// What every metric asks of its input before it counts, with one wording.
#pragma once
#include <cmath>
#include <span>
#include <string_view>

#include "base/result.h"
#include "eval/metrics/row_counts.h"

namespace volant {

// Both sides have the same number of rows, and at least one.
inline Status check_rows(size_t n_truth, size_t n_predicted, std::string_view metric) {
  if (n_truth != n_predicted)
    return fail(ErrorCode::kInvalidArgument, "{}: expected as many predictions as true values, got {} for {}",
                metric, n_predicted, n_truth);
  if (n_truth == 0)
    return fail(ErrorCode::kInvalidArgument, "{}: expected at least one row, got none", metric);
  return {};
}

// A count for each row, of which at least one was drawn.
inline Status check_counts(RowCounts counts, size_t n_rows, std::string_view metric) {
  if (counts.empty()) return {};
  if (counts.size() != n_rows)
    return fail(ErrorCode::kInvalidArgument, "{}: expected a count for each of {} rows, got {}", metric,
                n_rows, counts.size());
  if (rows_in(counts, n_rows) == 0)
    return fail(ErrorCode::kInvalidArgument, "{}: expected at least one row, all counts are 0", metric);
  return {};
}

inline Status check_finite(std::span<const double> values, std::string_view metric) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      return fail(ErrorCode::kInvalidArgument, "{}: expected finite numbers, got {} at position {}", metric,
                  values[i], i);
  }
  return {};
}

inline Status check_labels(std::span<const int32_t> labels, int32_t n_classes, std::string_view metric) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= n_classes)
      return fail(ErrorCode::kInvalidArgument, "{}: expected class numbers from 0 to {}, got {} in row {}",
                  metric, n_classes - 1, labels[i], i);
  }
  return {};
}

}  // namespace volant
