// Figures of an evaluation with their 95 % interval (base/estimate.h), as the events have them.
#pragma once
#include "base/estimate.h"

namespace volant {

// {"value": of all rows 0 .. n - 1, "ci95": [low, high]}; the same seed gives the same interval.
Json with_interval(uint64_t n, const RowStatistic& figure, uint64_t seed = 1, int samples = 1000);
Json mean_with_interval(const std::vector<double>& values, uint64_t seed = 1);

}  // namespace volant
