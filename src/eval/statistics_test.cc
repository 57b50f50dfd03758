#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace volant {
namespace {

TEST(Statistics, RatioIsOfSumsNotAMeanOfRatios) {
  const Estimate e = bootstrap_ratio({1, 30}, {1, 10}, 1000, 1);
  EXPECT_DOUBLE_EQ(e.value, 31.0 / 11);
  EXPECT_GE(e.low, 1);
  EXPECT_LE(e.high, 3);
}

TEST(Statistics, SameSeedSameInterval) {
  const std::vector<double> n{1, 2, 3, 4, 5, 6, 7}, d{1, 1, 2, 2, 1, 1, 2};
  const Estimate a = bootstrap_ratio(n, d, 500, 7), b = bootstrap_ratio(n, d, 500, 7);
  const Estimate c = bootstrap_ratio(n, d, 500, 8);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_NE(a.low, c.low);
}

TEST(Statistics, OneDocumentHasNoSpread) {
  const Estimate e = bootstrap_ratio({3}, {2}, 100, 1);
  EXPECT_EQ(e.value, 1.5);
  EXPECT_EQ(e.low, 1.5);
  EXPECT_EQ(e.high, 1.5);
}

TEST(Statistics, NothingGivesZero) {
  EXPECT_EQ(bootstrap_ratio({}, {}, 100, 1).value, 0);
  EXPECT_EQ(bootstrap_ratio({1}, {0}, 100, 1).value, 0);
}

// For a mean of normal numbers the interval is known: 1.96 standard errors each way.
TEST(Statistics, IntervalOfAMeanIsAsTheoryHasIt) {
  Random random(3);
  std::vector<double> numbers(400), ones(400, 1);
  double sum = 0, squares = 0;
  for (double& x : numbers) {
    x = 10 + 2 * random.normal();
    sum += x;
    squares += x * x;
  }
  const double mean = sum / 400, error = std::sqrt((squares / 400 - mean * mean) / 400);
  const Estimate e = bootstrap_ratio(numbers, ones, 4000, 1);
  EXPECT_NEAR(e.low, mean - 1.96 * error, 0.1 * error);
  EXPECT_NEAR(e.high, mean + 1.96 * error, 0.1 * error);
}

// The interval holds the truth in about 95 of 100 experiments.
TEST(Statistics, IntervalCoversTheTruth) {
  Random random(4);
  int covered = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<double> numbers(60), ones(60, 1);
    for (double& x : numbers) x = random.normal();
    const Estimate e = bootstrap_ratio(numbers, ones, 400, static_cast<uint64_t>(round));
    covered += e.low <= 0 && 0 <= e.high ? 1 : 0;
  }
  EXPECT_GE(covered, 270);
  EXPECT_LE(covered, 297);
}

TEST(Statistics, PairingSeesASmallDifferenceBetweenLargeSpreads) {
  Random random(5);
  std::vector<double> a, b, bytes;
  for (int i = 0; i < 200; ++i) {
    const double hard = 100 + 50 * random.uniform();
    b.push_back(hard);
    a.push_back(hard + 0.5 + 0.1 * random.normal());
    bytes.push_back(100);
  }
  const Estimate paired = bootstrap_ratio_difference(a, b, bytes, 1000, 1);
  EXPECT_NEAR(paired.value, 0.005, 0.0005);
  EXPECT_GT(paired.low, 0);
  EXPECT_LT(paired.high, 0.006);
  EXPECT_GT(bootstrap_ratio(a, bytes, 1000, 1).high - bootstrap_ratio(a, bytes, 1000, 1).low, 0.03);
  EXPECT_EQ(bootstrap_ratio_difference(a, a, bytes, 100, 1).high, 0);
}

}  // namespace
}  // namespace volant
