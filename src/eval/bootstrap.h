// Confidence intervals of any metric by resampling rows (Efron and Tibshirani 1993): percentile intervals of
// one metric, and of the difference of two on the same rows. Rows that hang together (questions on one text,
// answers of one user) are drawn as a group.
#pragma once
#include <functional>
#include <span>

#include "eval/metrics/row_counts.h"
#include "eval/statistics.h"

namespace volant {

// The metric of these rows; a row number may occur several times. An error means "not defined for these rows"
// (the area under a curve of one class).
using RowMetric = std::function<Result<double>(std::span<const size_t> rows)>;

struct BootstrapOptions {
  int samples = 1000;  // 10 to 1,000,000
  uint64_t seed = 1;
  std::span<const int64_t> groups =
      {};  // empty: each row is drawn alone; else a group's number for every row
};

// Errors: the metric's own when it is not defined for all rows; kInvalidArgument for no rows, options out of
// range, groups that do not fit the rows, or a metric that is undefined for half of the samples or more.
// Samples that it is undefined for are left out.
Result<Estimate> bootstrap(size_t n_rows, const RowMetric& metric, const BootstrapOptions& options = {});

// Several metrics of the same sample, of which `counts` says how often each row was drawn
// (metrics/row_counts.h): no row is copied and what is sorted is sorted once. As many each time, in the same
// order.
using CountMetrics = std::function<std::vector<Result<double>>(RowCounts counts)>;
// As bootstrap() of each of them: the same samples, and an error where that one had one.
Result<std::vector<Result<Estimate>>> bootstrap_counts(size_t n_rows, const CountMetrics& metrics,
                                                       const BootstrapOptions& options = {});

struct PairedDifference {
  Estimate difference;  // first minus second
  double p_value = 1;   // two-sided, of "no difference": twice the smaller share of samples on one side of 0
};
// Both metrics on the same samples: the interval of their difference is narrower than both intervals make
// believe.
Result<PairedDifference> paired_bootstrap(size_t n_rows, const RowMetric& first, const RowMetric& second,
                                          const BootstrapOptions& options = {});

}  // namespace volant
