// A figure with its 95 % interval, by bootstrap over rows (Efron and Tibshirani 1993): the percentiles of the
// figure of as many rows drawn with replacement.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/json.h"

namespace volant {

struct Estimate {
  double value = 0, low = 0, high = 0;  // 95 % interval
};

// {"value": .., "ci95": [low, high]}; numbers that are not finite become null.
Json to_json(const Estimate& estimate);

// The `share` quantile (0 to 1) of sorted values, linear between neighbours; at least one value.
double quantile(const std::vector<double>& sorted, double share);

// A figure of some rows, each of which may be named several times.
using RowStatistic = std::function<double(std::span<const uint32_t> rows)>;

// The figure of all rows 0 .. n - 1 and its interval from `samples` draws, without those whose figure is not
// finite; without rows or draws the interval is the value. The same seed gives the same interval.
Estimate bootstrap_estimate(uint64_t n, const RowStatistic& figure, int samples, uint64_t seed);

}  // namespace volant
