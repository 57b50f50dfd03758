// GRPO's loss against the paper's formula in plain numbers, its gradient against differences, and rewards.
#include "train/objectives/policy_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "train/objectives/reward.h"

namespace volant {
namespace {

TEST(PolicyLoss, AdvantagesAreRewardsMeasuredInDeviationsOfTheGroup) {
  const std::vector<double> got = group_advantages(std::vector<double>{1, 0, 0, 1, 1});
  const double deviation = std::sqrt(0.6 * 0.4) + 1e-4;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], (i == 1 || i == 2 ? -0.6 : 0.4) / deviation, 1e-12);
  for (const double a : group_advantages(std::vector<double>{1, 1, 1})) EXPECT_EQ(a, 0);
}

// Two tokens by hand: ratios 1.5 and 0.5, A = 2, clip 0.2, and a reference that is twice as sure.
TEST(PolicyLoss, IsThatOfThePaper) {
  const std::vector<double> old{std::log(0.2), std::log(0.4)}, now{std::log(0.3), std::log(0.2)},
      reference{std::log(0.6), std::log(0.4)};
  std::vector<double> gradient(2);
  const double kl = 2 - std::log(2.0) - 1;
  const PolicyFigures good = policy_loss({0.2, 0.1}, 2, now, old, reference, gradient);
  EXPECT_NEAR(good.loss, (-(1.2 * 2) - (0.5 * 2)) / 2 + 0.1 * kl, 1e-12);
  EXPECT_NEAR(good.kl, kl, 1e-12);
  EXPECT_EQ(good.clipped, 0.5);
  EXPECT_NEAR(gradient[0], -0.1 * 1 / 2, 1e-12);  // clipped: the reference alone
  EXPECT_NEAR(gradient[1], (-0.5 * 2 - 0.1 * 1) / 2, 1e-12);
  const PolicyFigures bad = policy_loss({0.2, 0}, -2, now, old, {}, gradient);
  EXPECT_NEAR(bad.loss, (1.5 * 2 + 0.8 * 2) / 2, 1e-12);
  EXPECT_NEAR(gradient[0], 1.5 * 2 / 2, 1e-12);
  EXPECT_EQ(gradient[1], 0);
}

TEST(PolicyLoss, GradientMatchesDifferences) {
  Random random(5);
  for (int round = 0; round < 50; ++round) {
    const size_t n = 1 + random.below(6);
    std::vector<double> now(n), old(n), reference(n), gradient(n), ignored(n);
    for (size_t i = 0; i < n; ++i) {
      now[i] = -2 * random.uniform();
      old[i] = now[i] + 0.3 * random.normal();
      reference[i] = now[i] + 0.5 * random.normal();
    }
    const double advantage = random.normal();
    const PolicyLoss how{0.2, 0.05};
    policy_loss(how, advantage, now, old, reference, gradient);
    for (size_t i = 0; i < n; ++i) {
      const double at = now[i], step = 1e-6;
      now[i] = at + step;
      const double above = policy_loss(how, advantage, now, old, reference, ignored).loss;
      now[i] = at - step;
      const double below = policy_loss(how, advantage, now, old, reference, ignored).loss;
      now[i] = at;
      EXPECT_NEAR(gradient[i], (above - below) / (2 * step), 1e-6);
    }
  }
}

double reward(const char* name, const char* pattern, const char* answer, const char* expected) {
  return Reward::make(name, pattern).value().of(answer, expected);
}

TEST(Reward, ArithmeticReadsTheLastNumber) {
  EXPECT_EQ(last_number("7 + 5 = 12"), 12);
  EXPECT_EQ(last_number("it is -3.5."), -3.5);
  EXPECT_EQ(last_number("1,234,567 apples"), 1234567);
  EXPECT_EQ(last_number("#### 18\n"), 18);
  EXPECT_EQ(last_number(".5"), 5);
  EXPECT_FALSE(last_number("none"));
  EXPECT_FALSE(last_number(""));
  EXPECT_EQ(reward("arithmetic", "", "12.0", "12"), 1);
  EXPECT_EQ(reward("arithmetic", "", "12 or 13", "12"), 0);
  EXPECT_FALSE(Reward::make("arithmetic", "").value().check("twelve"));
}

TEST(Reward, ExactMatchAndPatterns) {
  EXPECT_EQ(reward("exact_match", "", " yes\n", "yes"), 1);
  EXPECT_EQ(reward("exact_match", "", "yes.", "yes"), 0);
  EXPECT_EQ(reward("regex", "", "the answer is 42!", "answer is \\d+"), 1);
  EXPECT_EQ(reward("regex", "", "no answer", "answer is \\d+"), 0);
  EXPECT_EQ(reward("regex", "[A-D]", "A? No: C", "C"), 1);
  EXPECT_EQ(reward("regex", "[A-D]", "C? No: A", "C"), 0);
  EXPECT_EQ(reward("regex", "[A-D]", "none", "C"), 0);
  EXPECT_FALSE(Reward::make("regex", "").value().check("("));
  EXPECT_FALSE(Reward::make("exact_match", "x"));
}

}  // namespace
}  // namespace volant
