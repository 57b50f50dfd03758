// Confidence by bootstrap (base/estimate.h): intervals of ratios of sums over documents, and of paired
// differences between two models on the same documents. Estimate is what every figure of an evaluation is: a
// value with its interval, never without.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/estimate.h"

namespace volant {

// kParse when the fields are missing or no numbers.
Result<Estimate> estimate_from_json(const Json& json);
// "0.812 (0.790 to 0.833)"
std::string to_text(const Estimate& estimate, int digits = 3);

// Sum of `numerator` over sum of `denominator`, resampling documents.
Estimate bootstrap_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                         int samples, uint64_t seed);
// Difference of the two ratios (a minus b) on the same resampled documents.
Estimate bootstrap_ratio_difference(const std::vector<double>& numerator_a,
                                    const std::vector<double>& numerator_b,
                                    const std::vector<double>& denominator, int samples, uint64_t seed);

}  // namespace volant
