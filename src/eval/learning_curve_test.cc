// Learning curves: a law is found again from its own points, its uncertainty covers the truth, words and
// plot.
#include "eval/learning_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

double truth(double rows) { return 0.1 + 2 * std::pow(rows, -0.5); }

std::vector<CurveSample> samples_of(double deviation, Random* random = nullptr) {
  std::vector<CurveSample> samples;
  for (const double rows : {100.0, 250.0, 500.0, 1000.0}) {
    const double e = truth(rows) + (random == nullptr ? 0 : deviation * random->normal());
    samples.push_back({rows, {e, e - 1.96 * deviation, e + 1.96 * deviation}});
  }
  return samples;
}

TEST(LearningCurve, AnExactLawIsFoundAgain) {
  const PowerLaw law = fit_power_law(samples_of(0.001)).value();
  EXPECT_NEAR(law.exponent, 0.5, 1e-9);
  EXPECT_NEAR(law.floor, 0.1, 1e-6);
  EXPECT_NEAR(law.at(2000), truth(2000), 1e-6);
}

TEST(LearningCurve, TheIntervalCoversTheTruthAboutAsOftenAsItSays) {
  Random random(11);
  int covered = 0;
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    const Estimate error = extrapolate(samples_of(0.004, &random), 2000).value().error;
    covered += error.low <= truth(2000) && truth(2000) <= error.high ? 1 : 0;
  }
  EXPECT_GE(covered, kRounds * 85 / 100);
}

TEST(LearningCurve, ACurveThatDoesNotFallGainsNothing) {
  std::vector<CurveSample> samples;
  for (const double rows : {100.0, 200.0, 400.0}) samples.push_back({rows, {0.2, 0.19, 0.21}});
  EXPECT_NEAR(extrapolate(samples, 800).value().gain.value, 0, 1e-6);
  EvalReport report;
  ASSERT_TRUE(add_learning_curve(samples, "accuracy", report));
  EXPECT_THAT(report.notes[0], HasSubstr("do not show that it helps"));
}

TEST(LearningCurve, PointsFarFromAnyPowerLawWidenTheForecast) {
  std::vector<CurveSample> samples;
  for (const auto& [rows, error] : {std::pair{100.0, 0.4}, {200.0, 0.25}, {400.0, 0.25}, {800.0, 0.15}})
    samples.push_back({rows, {error, error - 0.0196, error + 0.0196}});
  const PowerLaw law = fit_power_law(samples).value();
  double squares = 0;
  for (const CurveSample& s : samples) squares += std::pow((s.error.value - law.at(s.rows)) / 0.01, 2);
  const Extrapolation next = extrapolate(samples, 1600).value();
  EXPECT_NEAR(next.misfit, std::sqrt(squares / (4 - 3)), 1e-3);
  EXPECT_GT(next.misfit, 2);
  EXPECT_GT(next.error.high - next.error.low, 2 * 0.0196);
  EvalReport report;
  ASSERT_TRUE(add_learning_curve(samples, "accuracy", report));
  EXPECT_THAT(report.notes[0], HasSubstr("trust the points"));
  EXPECT_NEAR(extrapolate(samples_of(0.001), 2000).value().misfit, 1, 1e-12);
}

TEST(LearningCurve, TheReportSaysItInWordsAndDrawsIt) {
  EvalReport report;
  ASSERT_TRUE(add_learning_curve(samples_of(0.001), "accuracy", report));
  EXPECT_THAT(report.notes[0], HasSubstr("Twice the data (2000 rows) would give about 85.5 %"));
  const Json json = report.sections[0].json;
  EXPECT_NEAR(json.at("twice_the_data").at("foreseen").at("value").as_double(), 1 - truth(2000), 1e-6);
  EXPECT_EQ(json.at("points").as_array().size(), 4U);
  EXPECT_THAT(to_html(report), HasSubstr("<title>250 rows: 77.4 %</title>"));
}

TEST(LearningCurve, BadPointsAreNamed) {
  std::vector<CurveSample> samples = samples_of(0.01);
  EXPECT_FALSE(fit_power_law(std::span(samples).first(1)));
  std::swap(samples[0], samples[1]);
  EXPECT_THAT(fit_power_law(samples).error().message,
              HasSubstr("more rows in each point, got 100 after 250"));
  samples = samples_of(0.01);
  samples[1].error.value = -1;
  EXPECT_FALSE(fit_power_law(samples));
}

}  // namespace
}  // namespace volant
