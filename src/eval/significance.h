// Tests of differences and intervals in closed form: McNemar's and the sign test for two models on the same
// rows, Holm's and Benjamini and Hochberg's corrections when several figures are looked at, Wilson's interval
// of a share, Student's interval of a mean over seeds or folds. p-values are two-sided, 0 to 1.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/statistics.h"

namespace volant {

struct McNemarTest {
  int64_t only_first = 0, only_second = 0;  // rows that one of both got right
  double exact_p = 1;                       // binomial: right at any size
  double chi_square_p = 1;  // with continuity correction: an approximation from some 25 such rows on
};
// One flag a row, 0 or 1: the model was right. kInvalidArgument: no rows, other numbers of rows, other flags.
Result<McNemarTest> mcnemar(std::span<const int32_t> first_right, std::span<const int32_t> second_right);

// Of paired scores: rows where the first is above against rows where it is below, exact; equal rows do not
// count. kInvalidArgument: no rows, other numbers of rows, scores that are not finite.
Result<double> sign_test(std::span<const double> first, std::span<const double> second);

// p-values adjusted such that those at most alpha may be believed together, in the order given. Holm (1979)
// bounds the chance of any false one; Benjamini and Hochberg (1995) the expected share of false ones among
// the believed. kInvalidArgument: a value outside of [0, 1].
Result<std::vector<double>> holm(std::span<const double> p_values);
Result<std::vector<double>> benjamini_hochberg(std::span<const double> p_values);

// Share of successes with Wilson's 95 % interval (1927): sound for few rows and for shares of 0 and 1, where
// the bootstrap sees no spread. kInvalidArgument unless 0 <= successes <= trials and trials > 0.
Result<Estimate> share_estimate(int64_t successes, int64_t trials);

// Share of the second less that of the first, right (1) or wrong (0) on the same rows, with the adjusted Wald
// 95 % interval of Bonett and Price (2012): one that is not empty when no row differs, where the bootstrap
// sees no spread. Errors as mcnemar().
Result<Estimate> paired_share_difference(std::span<const int32_t> first_right,
                                         std::span<const int32_t> second_right);

// Mean of repeated runs with Student's 95 % interval. Runs that share training rows are not independent:
// `test_per_train` (test rows over training rows of a fold; 0: independent seeds) widens the interval as
// Nadeau and Bengio (2003) do. kInvalidArgument: fewer than two values, values that are not finite, a
// negative ratio.
Result<Estimate> mean_estimate(std::span<const double> values, double test_per_train = 0);

// Weighted mean of figures of different rows, each with its own interval; the interval by the squares of
// their distances (Zou and Donner 2008). One that is not empty where the figures are all alike. Weights above
// 0 in sum.
Estimate mean_of_estimates(std::span<const Estimate> estimates, std::span<const double> weights);

}  // namespace volant
