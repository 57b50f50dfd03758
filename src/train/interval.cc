#include "train/interval.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"

namespace volant {

Json with_interval(uint64_t n, const RowStatistic& figure, uint64_t seed, int samples) {
  std::vector<uint32_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0U);
  const double value = figure(rows);
  if (n == 0) return JsonObject{{"value", value}, {"ci95", JsonArray{value, value}}};
  Random random(seed);
  std::vector<double> figures;
  for (int s = 0; s < samples; ++s) {
    for (uint32_t& row : rows) row = static_cast<uint32_t>(random.below(n));
    figures.push_back(figure(rows));
  }
  std::sort(figures.begin(), figures.end());
  const auto at = [&](double share) {
    return figures[static_cast<size_t>(share * static_cast<double>(figures.size() - 1) + 0.5)];
  };
  return JsonObject{{"value", value}, {"ci95", JsonArray{at(0.025), at(0.975)}}};
}

Json mean_with_interval(const std::vector<double>& values, uint64_t seed) {
  return with_interval(
      values.size(),
      [&](std::span<const uint32_t> rows) {
        double sum = 0;
        for (const uint32_t row : rows) sum += values[row];
        return rows.empty() ? 0 : sum / static_cast<double>(rows.size());
      },
      seed);
}

}  // namespace volant
