#include "eval/statistics.h"

#include <numeric>

#include "base/check.h"

namespace volant {
namespace {

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// `numerator` over `denominator`, both sums over resampled documents.
Estimate ratio(const std::vector<double>& numerator, const std::vector<double>& denominator, int samples,
               uint64_t seed) {
  CHECK(numerator.size() == denominator.size());
  if (sum(denominator) == 0) return {};
  const auto figure = [&](std::span<const uint32_t> documents) {
    double above = 0, below = 0;
    for (const uint32_t i : documents) {
      above += numerator[i];
      below += denominator[i];
    }
    return above / below;  // not finite, and left out, when all that were drawn weigh nothing
  };
  return bootstrap_estimate(numerator.size(), figure, samples, seed);
}

}  // namespace

Result<Estimate> estimate_from_json(const Json& json) {
  Estimate estimate{.value = TRY(json_number(json, "value"))};
  const Json* interval = json_find(json, "ci95");
  if (interval == nullptr || !interval->is_array() || interval->get_array().size() != 2 ||
      !interval->get_array()[0].is_number() || !interval->get_array()[1].is_number())
    return fail(ErrorCode::kParse, "expected a field \"ci95\" with two numbers beside \"value\"");
  estimate.low = interval->get_array()[0].to_number<double>();
  estimate.high = interval->get_array()[1].to_number<double>();
  return estimate;
}

std::string to_text(const Estimate& estimate, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", estimate.value, digits, estimate.low, digits,
                     estimate.high, digits);
}

Estimate bootstrap_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                         int samples, uint64_t seed) {
  return ratio(numerator, denominator, samples, seed);
}

Estimate bootstrap_ratio_difference(const std::vector<double>& numerator_a,
                                    const std::vector<double>& numerator_b,
                                    const std::vector<double>& denominator, int samples, uint64_t seed) {
  CHECK(numerator_a.size() == numerator_b.size());
  // On the same documents the difference of the ratios is the ratio of the differences.
  std::vector<double> difference(numerator_a.size());
  for (size_t i = 0; i < difference.size(); ++i) difference[i] = numerator_a[i] - numerator_b[i];
  return ratio(difference, denominator, samples, seed);
}

}  // namespace volant
