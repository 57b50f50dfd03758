// Confidence by bootstrap (Efron and Tibshirani 1993): percentile intervals of ratios of sums over documents,
// and of paired differences between two models on the same documents. Estimate is what every figure of an
// evaluation is: a value with its interval, never without.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace volant {

struct Estimate {
  double value = 0, low = 0, high = 0;  // 95 % interval
};

// {"value": .., "ci95": [low, high]}; numbers that are not finite become null.
Json to_json(const Estimate& estimate);
// kParse when the fields are missing or no numbers.
Result<Estimate> estimate_from_json(const Json& json);
// "0.812 (0.790 to 0.833)"
std::string to_text(const Estimate& estimate, int digits = 3);

// The `share` quantile (0 to 1) of sorted values, linear between neighbours; at least one value.
double quantile(const std::vector<double>& sorted, double share);

// Sum of `numerator` over sum of `denominator`, resampling documents.
Estimate bootstrap_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                         int samples, uint64_t seed);
// Difference of the two ratios (a minus b) on the same resampled documents.
Estimate bootstrap_ratio_difference(const std::vector<double>& numerator_a,
                                    const std::vector<double>& numerator_b,
                                    const std::vector<double>& denominator, int samples, uint64_t seed);

}  // namespace volant
