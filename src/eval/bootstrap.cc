#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/random.h"

namespace volant {
namespace {

constexpr int kMinSamples = 10, kMaxSamples = 1'000'000;
constexpr double kLow = 0.025, kHigh = 0.975;

// Rows that are drawn together.
Result<std::vector<std::vector<size_t>>> units_of(size_t n_rows, const BootstrapOptions& options) {
  if (n_rows == 0) return fail(ErrorCode::kInvalidArgument, "bootstrap: expected at least one row, got none");
  if (options.samples < kMinSamples || options.samples > kMaxSamples)
    return fail(ErrorCode::kInvalidArgument, "bootstrap: expected {} to {} samples, got {}", kMinSamples,
                kMaxSamples, options.samples);
  if (!options.groups.empty() && options.groups.size() != n_rows)
    return fail(ErrorCode::kInvalidArgument, "bootstrap: expected a group for each of {} rows, got {}",
                n_rows, options.groups.size());
  std::vector<std::vector<size_t>> units;
  std::map<int64_t, size_t> unit_of_group;
  for (size_t row = 0; row < n_rows; ++row) {
    size_t unit = units.size();
    if (!options.groups.empty()) unit = unit_of_group.try_emplace(options.groups[row], unit).first->second;
    if (unit == units.size()) units.emplace_back();
    units[unit].push_back(row);
  }
  return units;
}

// The metric of each sample that it is defined for.
std::vector<double> sample_values(const std::vector<std::vector<size_t>>& units, const RowMetric& metric,
                                  const BootstrapOptions& options) {
  Random random(options.seed);
  std::vector<double> values;
  std::vector<size_t> rows;
  for (int s = 0; s < options.samples; ++s) {
    rows.clear();
    for (size_t i = 0; i < units.size(); ++i) {
      const std::vector<size_t>& unit = units[random.below(units.size())];
      rows.insert(rows.end(), unit.begin(), unit.end());
    }
    const Result<double> value = metric(rows);
    if (value && std::isfinite(*value)) values.push_back(*value);
  }
  return values;
}

// Sorted, when the metric is defined for most of the samples.
Result<std::vector<double>> sorted(std::vector<double> values, int samples) {
  if (values.size() * 2 <= static_cast<size_t>(samples))
    return fail(
        ErrorCode::kInvalidArgument,
        "bootstrap: the metric is defined for only {} of {} samples of the rows; more rows are needed "
        "(of every class, for metrics that compare classes)",
        values.size(), samples);
  std::sort(values.begin(), values.end());
  return values;
}

Result<Estimate> estimate_of(double value, std::vector<double> of_samples, int samples) {
  of_samples = TRY(sorted(std::move(of_samples), samples));
  return Estimate{value, quantile(of_samples, kLow), quantile(of_samples, kHigh)};
}

Result<double> metric_of_all(size_t n_rows, const RowMetric& metric) {
  std::vector<size_t> rows(n_rows);
  std::iota(rows.begin(), rows.end(), size_t{0});
  return metric(rows);
}

}  // namespace

Result<Estimate> bootstrap(size_t n_rows, const RowMetric& metric, const BootstrapOptions& options) {
  const auto units = TRY(units_of(n_rows, options));
  const double value = TRY(metric_of_all(n_rows, metric));
  return estimate_of(value, sample_values(units, metric, options), options.samples);
}

Result<std::vector<Result<Estimate>>> bootstrap_counts(size_t n_rows, const CountMetrics& metrics,
                                                       const BootstrapOptions& options) {
  const auto units = TRY(units_of(n_rows, options));
  const std::vector<Result<double>> of_all = metrics({});
  std::vector<std::vector<double>> values(of_all.size());
  std::vector<uint32_t> counts(n_rows);
  const bool alone = options.groups.empty();
  Random random(options.seed);
  for (int s = 0; s < options.samples; ++s) {
    std::ranges::fill(counts, 0U);
    for (size_t i = 0; i < units.size(); ++i) {
      const size_t unit = random.below(units.size());
      if (alone)
        ++counts[unit];
      else
        for (const size_t row : units[unit]) ++counts[row];
    }
    const std::vector<Result<double>> of_sample = metrics(counts);
    for (size_t m = 0; m < values.size(); ++m)
      if (of_sample[m] && std::isfinite(*of_sample[m])) values[m].push_back(*of_sample[m]);
  }
  std::vector<Result<Estimate>> estimates;
  for (size_t m = 0; m < values.size(); ++m)
    estimates.push_back(of_all[m] ? estimate_of(*of_all[m], std::move(values[m]), options.samples)
                                  : Result<Estimate>(of_all[m].error()));
  return estimates;
}

Result<PairedDifference> paired_bootstrap(size_t n_rows, const RowMetric& first, const RowMetric& second,
                                          const BootstrapOptions& options) {
  const RowMetric difference = [&](std::span<const size_t> rows) -> Result<double> {
    return TRY(first(rows)) - TRY(second(rows));
  };
  const auto units = TRY(units_of(n_rows, options));
  PairedDifference paired{.difference = {.value = TRY(metric_of_all(n_rows, difference))}};
  const std::vector<double> values = TRY(sorted(sample_values(units, difference, options), options.samples));
  paired.difference.low = quantile(values, kLow);
  paired.difference.high = quantile(values, kHigh);
  // One sample more on each side: no p-value is 0 after finitely many samples.
  const auto below =
      static_cast<double>(std::upper_bound(values.begin(), values.end(), 0.0) - values.begin());
  const auto above = static_cast<double>(values.end() - std::lower_bound(values.begin(), values.end(), 0.0));
  const auto n = static_cast<double>(values.size());
  paired.p_value = std::min(1.0, 2 * (std::min(below, above) + 1) / (n + 1));
  return paired;
}

}  // namespace volant
