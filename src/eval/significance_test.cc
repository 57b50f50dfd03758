#include "eval/significance.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "eval/bootstrap.h"
#include "eval/metrics/probability.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RowMetric mean_of(const std::vector<double>& values) {
  return [&values](std::span<const size_t> rows) -> Result<double> {
    double sum = 0;
    for (const size_t row : rows) sum += values[row];
    return sum / static_cast<double>(rows.size());
  };
}

TEST(Bootstrap, MeanOfNormalsHasTheKnownInterval) {
  Random random(3);
  std::vector<double> values(400);
  for (double& v : values) v = 5 + random.normal();
  const Estimate e = bootstrap(values.size(), mean_of(values), {.samples = 4000}).value();
  EXPECT_NEAR(e.high - e.low, 2 * 1.96 / 20, 0.02);
  EXPECT_LT(e.low, e.value);
  EXPECT_GT(e.high, e.value);
}

TEST(Bootstrap, GroupsThatRepeatARowWidenTheInterval) {
  Random random(4);
  std::vector<double> values;
  std::vector<int64_t> groups;
  for (int64_t g = 0; g < 50; ++g) {
    const double v = random.normal();
    for (int i = 0; i < 9; ++i) {
      values.push_back(v);
      groups.push_back(g);
    }
  }
  const Estimate rows = bootstrap(values.size(), mean_of(values)).value();
  const Estimate grouped = bootstrap(values.size(), mean_of(values), {.groups = groups}).value();
  EXPECT_NEAR((grouped.high - grouped.low) / (rows.high - rows.low), 3, 0.6);  // sqrt(9)
}

TEST(Bootstrap, WorksForMetricsThatSomeSamplesLackAndRefusesWhenMostDo) {
  const std::vector<double> scores{0.1, 0.2, 0.3, 0.8, 0.9, 0.7};
  const auto area = [&scores](const std::vector<int32_t>& labels) {
    return [&scores, &labels](std::span<const size_t> rows) -> Result<double> {
      std::vector<int32_t> l;
      std::vector<double> s;
      for (const size_t row : rows) {
        l.push_back(labels[row]);
        s.push_back(scores[row]);
      }
      return roc_auc(l, s);
    };
  };
  const std::vector<int32_t> balanced{0, 0, 1, 1, 1, 0}, alone{1, 1, 1, 1, 1, 1};
  const Estimate e = bootstrap(6, area(balanced)).value();
  EXPECT_NEAR(e.value, 8.0 / 9, 1e-12);
  EXPECT_EQ(e.high, 1);
  EXPECT_THAT(bootstrap(6, area(alone)).error().message, HasSubstr("both classes"));
  int calls = 0;
  const RowMetric once = [&calls](std::span<const size_t>) -> Result<double> {
    if (calls++ > 0) return fail(ErrorCode::kInvalidArgument, "no");
    return 1.0;
  };
  EXPECT_THAT(bootstrap(6, once).error().message, HasSubstr("only 0 of 1000 samples"));
}

TEST(Bootstrap, BadOptionsAreNamed) {
  const std::vector<double> values{1, 2};
  const std::vector<int64_t> one_group{1};
  EXPECT_FALSE(bootstrap(0, mean_of(values)));
  EXPECT_THAT(bootstrap(2, mean_of(values), {.samples = 1}).error().message, HasSubstr("got 1"));
  EXPECT_THAT(bootstrap(2, mean_of(values), {.groups = one_group}).error().message, HasSubstr("got 1"));
}

TEST(PairedBootstrap, SeesASmallButSteadyDifference) {
  Random random(5);
  std::vector<double> first(100), second(100);
  for (size_t i = 0; i < first.size(); ++i) {
    second[i] = random.normal();
    first[i] = second[i] + 0.05 + 0.01 * random.normal();
  }
  const PairedDifference steady = paired_bootstrap(100, mean_of(first), mean_of(second)).value();
  EXPECT_GT(steady.difference.low, 0.04);
  EXPECT_LT(steady.p_value, 0.01);
  EXPECT_GT(steady.p_value, 0);
  EXPECT_EQ(paired_bootstrap(100, mean_of(first), mean_of(first)).value().p_value, 1);
}

TEST(Significance, McNemarOfAKnownTable) {
  // 10 rows only the first got right, 2 only the second: exact p = 2 (1 + 12 + 66) / 4096.
  std::vector<int32_t> first, second;
  for (int i = 0; i < 10; ++i) first.push_back(1), second.push_back(0);
  for (int i = 0; i < 2; ++i) first.push_back(0), second.push_back(1);
  for (int i = 0; i < 30; ++i) first.push_back(1), second.push_back(1);
  const McNemarTest test = mcnemar(first, second).value();
  EXPECT_EQ(test.only_first, 10);
  EXPECT_EQ(test.only_second, 2);
  EXPECT_NEAR(test.exact_p, 158.0 / 4096, 1e-12);
  EXPECT_NEAR(test.chi_square_p, std::erfc(std::sqrt(49.0 / 12 / 2)), 1e-12);
  EXPECT_EQ(mcnemar(first, first).value().exact_p, 1);
  EXPECT_EQ(mcnemar(first, first).value().chi_square_p, 1);
  EXPECT_FALSE(mcnemar(first, std::vector<int32_t>{1}));
}

TEST(Significance, SignTestIsABinomial) {
  const std::vector<double> first{2, 3, 4, 5, 6, 1}, second{1, 1, 1, 1, 1, 1};
  EXPECT_NEAR(sign_test(first, second).value(), 2.0 / 32, 1e-12);  // the equal row does not count
  EXPECT_EQ(sign_test(second, second).value(), 1);
  EXPECT_FALSE(sign_test({}, {}));
}

TEST(Significance, CorrectionsOfAKnownExample) {
  const std::vector<double> p{0.01, 0.04, 0.03, 0.005};
  const auto by_holm = holm(p).value(), by_bh = benjamini_hochberg(p).value();
  const std::vector<double> expected_holm{0.03, 0.06, 0.06, 0.02}, expected_bh{0.02, 0.04, 0.04, 0.02};
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(by_holm[i], expected_holm[i], 1e-12);
    EXPECT_NEAR(by_bh[i], expected_bh[i], 1e-12);
  }
  EXPECT_THAT(holm(std::vector<double>{0.6, 0.9}).value(), ElementsAre(1, 1));
  EXPECT_FALSE(holm(std::vector<double>{1.5}));
  EXPECT_FALSE(benjamini_hochberg(std::vector<double>{std::nan("")}));
}

// Wilson's interval of 0 of 10 is (0, z2 / (n + z2)).
TEST(Significance, SharesOfNothingAndAllHaveAnIntervalToo) {
  const double z2 = 1.959963984540054 * 1.959963984540054;
  const Estimate none = share_estimate(0, 10).value();
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, z2 / (10 + z2), 1e-12);
  EXPECT_NEAR(share_estimate(10, 10).value().low, 10 / (10 + z2), 1e-12);
  EXPECT_FALSE(share_estimate(1, 0));
  EXPECT_FALSE(share_estimate(3, 2));
}

// 100 rows, 10 gained and 2 lost: by hand (11 - 3) / 102 -+ 1.96 sqrt((14 / 102 - (8 / 102)^2) / 102).
TEST(Significance, PairedSharesHaveAnIntervalEvenWhereNoRowDiffers) {
  std::vector<int32_t> first(100, 1), second(100, 1);
  const Estimate alike = paired_share_difference(first, second).value();
  EXPECT_EQ(alike.value, 0);
  EXPECT_NEAR(alike.low, -1.959964 * std::sqrt(2.0) / 102, 1e-6);
  EXPECT_NEAR(alike.high, -alike.low, 1e-15);
  for (size_t i = 0; i < 10; ++i) first[i] = 0;
  second[20] = second[21] = 0;
  const Estimate better = paired_share_difference(first, second).value();
  EXPECT_NEAR(better.value, 0.08, 1e-12);
  EXPECT_NEAR(better.low, 8.0 / 102 - 1.959964 * std::sqrt((14.0 / 102 - 64.0 / 10404) / 102), 1e-6);
  EXPECT_NEAR(better.high, 8.0 / 102 + 1.959964 * std::sqrt((14.0 / 102 - 64.0 / 10404) / 102), 1e-6);
  EXPECT_EQ(paired_share_difference(std::vector{1}, std::vector{0}).value().low, -1);
  EXPECT_FALSE(paired_share_difference(std::vector{1}, std::vector{2}));
}

TEST(Significance, MeanOverSeedsHasStudentsInterval) {
  const std::vector<double> values{1, 2, 3};
  const Estimate e = mean_estimate(values).value();
  EXPECT_EQ(e.value, 2);
  EXPECT_NEAR(e.high - e.value, 4.302652729911275 / std::sqrt(3.0), 1e-9);  // t quantile of 2 degrees
  const Estimate folds = mean_estimate(values, 0.5).value();
  EXPECT_NEAR((folds.high - folds.low) / (e.high - e.low), std::sqrt((1.0 / 3 + 0.5) * 3), 1e-9);
  EXPECT_THAT(mean_estimate(std::vector<double>{1}).error().message, HasSubstr("at least two"));
}

// (0.9 + 3 * 0.5) / 4; below: sqrt((0.2 / 4)^2 + (0.1 * 3 / 4)^2), above: sqrt((0.05 / 4)^2 + (0.2 * 3 /
// 4)^2).
TEST(Significance, AMeanOfFiguresHasTheIntervalThatTheirsGive) {
  const std::vector<Estimate> figures{{0.9, 0.7, 0.95}, {0.5, 0.4, 0.7}};
  const Estimate mean = mean_of_estimates(figures, std::vector<double>{1, 3});
  EXPECT_NEAR(mean.value, 0.6, 1e-12);
  EXPECT_NEAR(mean.low, 0.6 - std::sqrt(0.05 * 0.05 + 0.075 * 0.075), 1e-12);
  EXPECT_NEAR(mean.high, 0.6 + std::sqrt(0.0125 * 0.0125 + 0.15 * 0.15), 1e-12);
}

TEST(Estimate, GoesThroughJsonAndText) {
  const Estimate e{0.5, 0.25, 0.75};
  const Estimate back = estimate_from_json(to_json(e)).value();
  EXPECT_EQ(back.value, 0.5);
  EXPECT_EQ(back.low, 0.25);
  EXPECT_EQ(back.high, 0.75);
  EXPECT_EQ(to_text(e, 2), "0.50 (0.25 to 0.75)");
  EXPECT_FALSE(estimate_from_json(parse_json(R"({"value":1})").value()));
}

}  // namespace
}  // namespace volant
