#include "base/estimate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/random.h"

namespace volant {
namespace {

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

Json to_json(const Estimate& estimate) {
  return JsonObject{{"value", number_or_null(estimate.value)},
                    {"ci95", JsonArray{number_or_null(estimate.low), number_or_null(estimate.high)}}};
}

double quantile(const std::vector<double>& sorted, double share) {
  CHECK(!sorted.empty());
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Estimate bootstrap_estimate(uint64_t n, const RowStatistic& figure, int samples, uint64_t seed) {
  std::vector<uint32_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0U);
  const double value = figure(rows);
  Estimate estimate{value, value, value};
  if (n == 0) return estimate;
  Random random(seed);
  std::vector<double> figures;
  for (int s = 0; s < samples; ++s) {
    for (uint32_t& row : rows) row = static_cast<uint32_t>(random.below(n));
    const double drawn = figure(rows);
    if (std::isfinite(drawn)) figures.push_back(drawn);
  }
  if (figures.empty()) return estimate;
  std::sort(figures.begin(), figures.end());
  estimate.low = quantile(figures, 0.025);
  estimate.high = quantile(figures, 0.975);
  return estimate;
}

}  // namespace volant
