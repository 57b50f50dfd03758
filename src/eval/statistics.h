// Confidence by bootstrap (Efron and Tibshirani 1993): percentile intervals of ratios of sums over documents,
// and of paired differences between two models on the same documents.
#pragma once
#include <cstdint>
#include <vector>

namespace volant {

struct Estimate {
  double value = 0, low = 0, high = 0;  // 95 % interval
};

// Sum of `numerator` over sum of `denominator`, resampling documents.
Estimate bootstrap_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                         int samples, uint64_t seed);
// Difference of the two ratios (a minus b) on the same resampled documents.
Estimate bootstrap_ratio_difference(const std::vector<double>& numerator_a,
                                    const std::vector<double>& numerator_b,
                                    const std::vector<double>& denominator, int samples, uint64_t seed);

}  // namespace volant
