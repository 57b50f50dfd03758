#include "runtime/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>

namespace volant {
namespace {

using ::testing::HasSubstr;

std::map<int32_t, double> shares(const SamplingOptions& options, const std::vector<float>& logits,
                                 int n = 20000) {
  SamplingOptions seeded = options;
  std::map<int32_t, double> counts;
  for (int i = 0; i < n; ++i) {
    seeded.seed = static_cast<uint64_t>(i);
    Sampler sampler(seeded, {});
    counts[sampler.sample(logits).value()] += 1.0 / n;
  }
  return counts;
}

const std::vector<float> kLogits{2.0F, 1.0F, 0.0F, -1.0F, -30.0F};

TEST(Sampler, TemperatureZeroTakesTheLargestAndTheFirstOfEquals) {
  Sampler sampler({.temperature = 0}, {});
  EXPECT_EQ(sampler.sample(std::vector<float>{0, 3, 1, 3}).value(), 1);
}

TEST(Sampler, SharesFollowTheSoftmaxAtEachTemperature) {
  for (const double temperature : {0.5, 1.0, 2.0}) {
    double total = 0;
    for (const float l : kLogits) total += std::exp(static_cast<double>(l) / temperature);
    const auto found = shares({.temperature = temperature}, kLogits);
    for (int32_t id = 0; id < 4; ++id) {
      const double expected =
          std::exp(static_cast<double>(kLogits[static_cast<size_t>(id)]) / temperature) / total;
      EXPECT_NEAR(found.count(id) ? found.at(id) : 0, expected, 0.015)
          << "token " << id << " at " << temperature;
    }
    EXPECT_FALSE(found.count(4));
  }
}

TEST(Sampler, TopKKeepsKTokensInTheirProportion) {
  const auto found = shares({.top_k = 2}, kLogits);
  EXPECT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at(0), 1 / (1 + std::exp(-1.0)), 0.015);
}

TEST(Sampler, TopPKeepsTheFewestTokensThatReachIt) {
  // Shares are 0.644, 0.237, 0.087, 0.032.
  EXPECT_EQ(shares({.top_p = 0.6}, kLogits).size(), 1U);
  EXPECT_EQ(shares({.top_p = 0.7}, kLogits).size(), 2U);
  EXPECT_EQ(shares({.top_p = 0.9}, kLogits).size(), 3U);
  EXPECT_EQ(shares({.top_p = 0}, kLogits).size(), 1U);
}

TEST(Sampler, MinPKeepsWhatIsCloseToTheBest) {
  EXPECT_EQ(shares({.min_p = 0.3}, kLogits).size(), 2U);  // e^-1 = 0.37, e^-2 = 0.14
  EXPECT_EQ(shares({.min_p = 0.5}, kLogits).size(), 1U);
}

TEST(Sampler, TypicalPKeepsTokensOfTheExpectedSurprise) {
  // Shares 0.4, 0.3, 0.1, 0.1, 0.1: an entropy of 1.42 nats; surprises are 0.92, 1.20, 2.30 and their
  // distances 0.50, 0.21, 0.88. So the second comes first, then the first, then the others.
  std::vector<float> logits;
  for (const double share : {0.4, 0.3, 0.1, 0.1, 0.1}) logits.push_back(static_cast<float>(std::log(share)));
  const auto one = shares({.typical_p = 0.25}, logits);
  EXPECT_EQ(one.size(), 1U);
  EXPECT_TRUE(one.count(1));
  const auto two = shares({.typical_p = 0.5}, logits);
  EXPECT_EQ(two.size(), 2U);
  EXPECT_NEAR(two.at(0), 4.0 / 7, 0.015);
  EXPECT_EQ(shares({.typical_p = 0.75}, logits).size(), 3U);
  // After top-k, of what that leaves: 4/7 and 3/7, where the likelier one is nearer to the entropy of 0.683.
  const auto kept = shares({.typical_p = 0.1, .top_k = 2}, logits);
  EXPECT_EQ(kept.size(), 1U);
  EXPECT_TRUE(kept.count(0));
}

TEST(Sampler, SameSeedSameChoices) {
  const SamplingOptions options{.temperature = 1.3, .top_p = 0.95, .seed = 42};
  Sampler a(options, {}), b(options, {});
  std::vector<float> logits(1000);
  Random random(1);
  for (int step = 0; step < 50; ++step) {
    for (float& l : logits) l = static_cast<float>(random.normal() * 3);
    EXPECT_EQ(a.sample(logits).value(), b.sample(logits).value());
  }
}

TEST(Sampler, LogitBiasForbidsAndForces) {
  Sampler forbids({.temperature = 0, .logit_bias = {{0, -100}}}, {});
  EXPECT_EQ(forbids.sample(kLogits).value(), 1);
  Sampler forces({.temperature = 0, .logit_bias = {{3, 100}}}, {});
  EXPECT_EQ(forces.sample(kLogits).value(), 3);
}

TEST(Sampler, PresenceAndFrequencyPenaltiesCountTheAnswerAlone) {
  const std::vector<int32_t> prompt{0, 0, 0};
  Sampler presence({.temperature = 0, .presence_penalty = 1.5}, prompt);
  EXPECT_EQ(presence.sample(kLogits).value(), 0);
  EXPECT_EQ(presence.sample(kLogits).value(), 1);  // 0.5 against 1
  Sampler frequency({.temperature = 0, .frequency_penalty = 0.6}, prompt);
  EXPECT_EQ(frequency.sample(kLogits).value(), 0);
  EXPECT_EQ(frequency.sample(kLogits).value(), 0);  // 1.4 against 1
  EXPECT_EQ(frequency.sample(kLogits).value(), 1);  // 0.8 against 1
}

TEST(Sampler, RepetitionPenaltyCountsThePromptToo) {
  Sampler sampler({.temperature = 0, .repetition_penalty = 2.5}, std::vector<int32_t>{0});
  EXPECT_EQ(sampler.sample(kLogits).value(), 1);  // 0.8 against 1
}

TEST(Sampler, LogitsWithoutANumberAreAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Sampler sampler({}, {});
  EXPECT_FALSE(sampler.sample(std::vector<float>(40, nan)));
}

TEST(Logprobs, AreLogarithmsOfTheSoftmaxBestFirst) {
  double total = 0;
  for (const float l : kLogits) total += std::exp(static_cast<double>(l));
  EXPECT_NEAR(logprob_of(kLogits, 2).logprob, -std::log(total), 1e-6);
  const std::vector<TokenLogprob> top = top_logprobs(kLogits, 3);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].id, 0);
  EXPECT_EQ(top[2].id, 2);
  EXPECT_NEAR(top[0].logprob, 2 - std::log(total), 1e-6);
  EXPECT_EQ(top_logprobs(kLogits, 20).size(), 5U);
}

TEST(CheckSampling, NamesTheOptionThatIsOutOfRange) {
  EXPECT_TRUE(check_sampling({}, 10));
  EXPECT_THAT(check_sampling({.temperature = -1}, 10).error().message, HasSubstr("temperature"));
  EXPECT_THAT(check_sampling({.top_p = std::nan("")}, 10).error().message, HasSubstr("top_p"));
  EXPECT_THAT(check_sampling({.logit_bias = {{10, 1}}}, 10).error().message, HasSubstr("token 10"));
}

// What top-k, top-p and min-p leave, by sorting all of it.
std::set<int32_t> kept_of(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto logit = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  std::ranges::stable_sort(ids, std::greater<>(), logit);
  if (options.top_k > 0) ids.resize(std::min(ids.size(), static_cast<size_t>(options.top_k)));
  const auto weight = [&](int32_t id) {
    return std::exp(static_cast<double>(logit(id) - logit(ids[0])) / options.temperature);
  };
  double total = 0, sum = 0;
  for (const int32_t id : ids) total += weight(id);
  size_t n = 0;
  while (n < ids.size() && sum < options.top_p * total) sum += weight(ids[n++]);
  ids.resize(n);
  std::erase_if(ids, [&](int32_t id) { return weight(id) < options.min_p; });
  return {ids.begin(), ids.end()};
}

TEST(Sampler, TopPTakesWhatItNeedsFromLongTails) {
  Random random(12);
  std::vector<float> logits(20000);
  for (float& each : logits) each = static_cast<float>(random.normal());
  logits[123] = 10;  // 0.4 of the probability; each of the others less than a thousandth of that
  for (const double top_p : {0.3, 0.7, 0.95}) {
    const SamplingOptions options{.temperature = 1, .top_p = top_p, .seed = 6};
    const std::set<int32_t> kept = kept_of(logits, options);
    Sampler sampler(options, {});
    std::set<int32_t> drawn;
    for (int i = 0; i < 300; ++i) drawn.insert(sampler.sample(logits).value());
    EXPECT_TRUE(std::ranges::includes(kept, drawn)) << top_p;
    EXPECT_GE(drawn.size(), std::min<size_t>(kept.size(), 100)) << top_p;
  }
}

TEST(Sampler, LongVocabulariesLoseNothingThatTopKAndMinPKeep) {
  Random random(11);
  std::vector<float> spread(20000), together(20000), ties(20000), few(300);
  for (auto* logits : {&spread, &together, &ties, &few})
    for (float& each : *logits) each = static_cast<float>(random.normal());
  for (size_t i = 0; i < 60; ++i) together[5000 + i] = 8 + 0.01F * static_cast<float>(i);  // in one run
  for (float& each : ties) each = std::round(each * 2) / 2;
  for (const auto* logits : {&spread, &together, &ties, &few}) {
    for (const auto& [top_k, min_p] : {std::pair{1, 0.0}, {2, 0.0}, {40, 0.0}, {40, 0.9665}, {200, 0.985}}) {
      SamplingOptions options{.temperature = 20, .min_p = min_p, .top_k = top_k, .seed = 5};
      const std::set<int32_t> kept = kept_of(*logits, options);
      Sampler sampler(options, {});
      std::set<int32_t> drawn;
      for (size_t i = 0; i < 12 * kept.size() + 20; ++i) drawn.insert(sampler.sample(*logits).value());
      EXPECT_EQ(drawn, kept) << "top_k " << top_k << ", min_p " << min_p;
    }
  }
}

}  // namespace
}  // namespace volant
