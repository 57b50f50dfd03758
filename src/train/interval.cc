#include "train/interval.h"

namespace volant {

Json with_interval(uint64_t n, const RowStatistic& figure, uint64_t seed, int samples) {
  return to_json(bootstrap_estimate(n, figure, samples, seed));
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
