// Metrics of predicted numbers. Errors of all: kInvalidArgument for no rows, other numbers of rows, values
// that are not finite.
#pragma once
#include <span>

#include "base/result.h"
#include "eval/metrics/row_counts.h"

namespace volant {

// In the squared unit of the values.
Result<double> mean_squared_error(std::span<const double> truth, std::span<const double> predicted,
                                  RowCounts counts = {});
// In the unit of the values.
Result<double> mean_absolute_error(std::span<const double> truth, std::span<const double> predicted,
                                   RowCounts counts = {});
// Coefficient of determination: 1 is perfect, 0 is as good as the mean, below is worse. Needs two rows and
// true values that differ (kInvalidArgument).
Result<double> r_squared(std::span<const double> truth, std::span<const double> predicted,
                         RowCounts counts = {});

}  // namespace volant
