// Figures of an evaluation with their 95 % interval, by bootstrap over the rows (Efron and Tibshirani 1993).
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/json.h"

namespace volant {

// A figure of some rows, each of which may be named several times.
using RowStatistic = std::function<double(std::span<const uint32_t> rows)>;

// {"value": of all rows 0 .. n - 1, "ci95": [low, high]}; the same seed gives the same interval.
Json with_interval(uint64_t n, const RowStatistic& figure, uint64_t seed = 1, int samples = 1000);
Json mean_with_interval(const std::vector<double>& values, uint64_t seed = 1);

}  // namespace volant
