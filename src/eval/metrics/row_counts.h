// How often each row stands in a sample that a bootstrap draws, so that a sample of rows is a list of counts
// and no row is copied. Empty: every row once. Metrics take it last; its size, if any, is the number of rows.
#pragma once
#include <cstdint>
#include <numeric>
#include <span>

namespace volant {

using RowCounts = std::span<const uint32_t>;

inline uint32_t times_of(RowCounts counts, size_t row) { return counts.empty() ? 1 : counts[row]; }
// Rows of the sample, drawn again counted again.
inline int64_t rows_in(RowCounts counts, size_t n_rows) {
  return counts.empty() ? static_cast<int64_t>(n_rows)
                        : std::accumulate(counts.begin(), counts.end(), int64_t{0});
}
// Mean of a value that each row has.
inline double mean_of(std::span<const double> values, RowCounts counts = {}) {
  double sum = 0;
  for (size_t row = 0; row < values.size(); ++row) sum += times_of(counts, row) * values[row];
  return sum / static_cast<double>(rows_in(counts, values.size()));
}

}  // namespace volant
