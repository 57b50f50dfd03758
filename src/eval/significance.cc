#include "eval/significance.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "eval/metrics/checks.h"

namespace volant {
namespace {

constexpr double kNormal975 = 1.959963984540054;  // the standard normal's 97.5 % quantile

// Two-sided: how unlikely is it that a fair coin falls so unevenly.
double fair_coin_p(int64_t heads, int64_t tails) {
  if (heads + tails == 0) return 1;
  const boost::math::binomial_distribution<double> coin(static_cast<double>(heads + tails), 0.5);
  return std::min(1.0, 2 * boost::math::cdf(coin, static_cast<double>(std::min(heads, tails))));
}

Result<std::vector<size_t>> order_of(std::span<const double> p_values) {
  for (const double p : p_values) {
    if (!(p >= 0 && p <= 1))
      return fail(ErrorCode::kInvalidArgument, "correction: expected p-values from 0 to 1, got {}", p);
  }
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  return order;
}

}  // namespace

Result<McNemarTest> mcnemar(std::span<const int32_t> first_right, std::span<const int32_t> second_right) {
  TRY(check_rows(first_right.size(), second_right.size(), "McNemar's test"));
  TRY(check_labels(first_right, 2, "McNemar's test"));
  TRY(check_labels(second_right, 2, "McNemar's test"));
  McNemarTest test;
  for (size_t i = 0; i < first_right.size(); ++i) {
    test.only_first += first_right[i] > second_right[i] ? 1 : 0;
    test.only_second += first_right[i] < second_right[i] ? 1 : 0;
  }
  test.exact_p = fair_coin_p(test.only_first, test.only_second);
  const auto n = static_cast<double>(test.only_first + test.only_second);
  if (n > 0) {
    const double off = std::max(std::abs(static_cast<double>(test.only_first - test.only_second)) - 1, 0.0);
    test.chi_square_p = boost::math::cdf(
        boost::math::complement(boost::math::chi_squared_distribution<double>(1), off * off / n));
  }
  return test;
}

Result<double> sign_test(std::span<const double> first, std::span<const double> second) {
  TRY(check_rows(first.size(), second.size(), "sign test"));
  TRY(check_finite(first, "sign test"));
  TRY(check_finite(second, "sign test"));
  int64_t above = 0, below = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    above += first[i] > second[i] ? 1 : 0;
    below += first[i] < second[i] ? 1 : 0;
  }
  return fair_coin_p(above, below);
}

Result<std::vector<double>> holm(std::span<const double> p_values) {
  const std::vector<size_t> order = TRY(order_of(p_values));
  std::vector<double> adjusted(p_values.size());
  double most = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    most = std::max(most, std::min(1.0, static_cast<double>(order.size() - i) * p_values[order[i]]));
    adjusted[order[i]] = most;
  }
  return adjusted;
}

Result<std::vector<double>> benjamini_hochberg(std::span<const double> p_values) {
  const std::vector<size_t> order = TRY(order_of(p_values));
  std::vector<double> adjusted(p_values.size());
  double least = 1;
  for (size_t i = order.size(); i-- > 0;) {
    least =
        std::min(least, p_values[order[i]] * static_cast<double>(order.size()) / static_cast<double>(i + 1));
    adjusted[order[i]] = least;
  }
  return adjusted;
}

Result<Estimate> share_estimate(int64_t successes, int64_t trials) {
  if (trials <= 0 || successes < 0 || successes > trials)
    return fail(ErrorCode::kInvalidArgument, "share: expected 0 to n successes of n > 0 rows, got {} of {}",
                successes, trials);
  const auto n = static_cast<double>(trials);
  const double share = static_cast<double>(successes) / n, z2 = kNormal975 * kNormal975;
  const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kNormal975 / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return Estimate{share, std::clamp(middle - half, 0.0, share), std::clamp(middle + half, share, 1.0)};
}

Result<Estimate> paired_share_difference(std::span<const int32_t> first_right,
                                         std::span<const int32_t> second_right) {
  const McNemarTest pairs = TRY(mcnemar(first_right, second_right));
  const auto n = static_cast<double>(first_right.size()), gained = static_cast<double>(pairs.only_second),
             lost = static_cast<double>(pairs.only_first);
  // As if one row more had been gained and one more lost.
  const double up = (gained + 1) / (n + 2), down = (lost + 1) / (n + 2), middle = up - down;
  const double half = kNormal975 * std::sqrt((up + down - middle * middle) / (n + 2));
  const double difference = (gained - lost) / n;
  return Estimate{difference, std::clamp(middle - half, -1.0, difference),
                  std::clamp(middle + half, difference, 1.0)};
}

Result<Estimate> mean_estimate(std::span<const double> values, double test_per_train) {
  if (values.size() < 2)
    return fail(ErrorCode::kInvalidArgument,
                "mean: expected at least two runs, got {}; one run tells nothing of its spread",
                values.size());
  TRY(check_finite(values, "mean"));
  if (!(test_per_train >= 0))
    return fail(ErrorCode::kInvalidArgument, "mean: expected a ratio of 0 or more, got {}", test_per_train);
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double error = std::sqrt(squares / (n - 1) * (1 / n + test_per_train));
  const double t = boost::math::quantile(boost::math::students_t_distribution<double>(n - 1), 0.975);
  return Estimate{mean, mean - t * error, mean + t * error};
}

Estimate mean_of_estimates(std::span<const Estimate> estimates, std::span<const double> weights) {
  CHECK(estimates.size() == weights.size());
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  CHECK(total > 0);
  double value = 0, below = 0, above = 0;
  for (size_t i = 0; i < estimates.size(); ++i) {
    const Estimate& each = estimates[i];
    const double weight = weights[i] / total;
    value += weight * each.value;
    below += std::pow(weight * (each.value - each.low), 2);
    above += std::pow(weight * (each.high - each.value), 2);
  }
  return {value, value - std::sqrt(below), value + std::sqrt(above)};
}

}  // namespace volant
