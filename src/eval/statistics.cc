#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/random.h"

namespace volant {
namespace {

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// The 95 % percentile interval of `numerator` over `denominator`, both sums over resampled documents.
Estimate bootstrap(const std::vector<double>& numerator, const std::vector<double>& denominator, int samples,
                   uint64_t seed) {
  CHECK(numerator.size() == denominator.size());
  Estimate estimate;
  const double all = sum(denominator);
  if (all == 0) return estimate;
  estimate.value = estimate.low = estimate.high = sum(numerator) / all;
  Random random(seed);
  std::vector<double> ratios;
  for (int s = 0; s < samples; ++s) {
    double above = 0, below = 0;
    for (size_t i = 0; i < numerator.size(); ++i) {
      const size_t drawn = random.below(numerator.size());
      above += numerator[drawn];
      below += denominator[drawn];
    }
    if (below != 0) ratios.push_back(above / below);
  }
  if (ratios.empty()) return estimate;
  std::sort(ratios.begin(), ratios.end());
  estimate.low = quantile(ratios, 0.025);
  estimate.high = quantile(ratios, 0.975);
  return estimate;
}

}  // namespace

Json to_json(const Estimate& estimate) {
  return JsonObject{{"value", number_or_null(estimate.value)},
                    {"ci95", JsonArray{number_or_null(estimate.low), number_or_null(estimate.high)}}};
}

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

double quantile(const std::vector<double>& sorted, double share) {
  CHECK(!sorted.empty());
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Estimate bootstrap_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator,
                         int samples, uint64_t seed) {
  return bootstrap(numerator, denominator, samples, seed);
}

Estimate bootstrap_ratio_difference(const std::vector<double>& numerator_a,
                                    const std::vector<double>& numerator_b,
                                    const std::vector<double>& denominator, int samples, uint64_t seed) {
  CHECK(numerator_a.size() == numerator_b.size());
  // On the same documents the difference of the ratios is the ratio of the differences.
  std::vector<double> difference(numerator_a.size());
  for (size_t i = 0; i < difference.size(); ++i) difference[i] = numerator_a[i] - numerator_b[i];
  return bootstrap(difference, denominator, samples, seed);
}

}  // namespace volant
