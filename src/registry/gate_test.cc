#include "registry/gate.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/random.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

// Documents whose price in bits per byte wanders around `level`, the same wandering for the same seed.
std::vector<DocumentScore> scores(size_t n, double level, const std::string& language = "en",
                                  uint64_t seed = 7) {
  Random random(seed);
  std::vector<DocumentScore> list;
  for (size_t i = 0; i < n; ++i) {
    const auto bytes = static_cast<int64_t>(100 + random.below(200));
    list.push_back(
        {language, (level + 0.3 * random.normal()) * static_cast<double>(bytes), bytes, bytes / 3, 5});
  }
  return list;
}

TEST(Gate, ABetterCandidatePasses) {
  const GateReport report = compare_with_production(scores(100, 2.0), scores(100, 2.2), {});
  EXPECT_TRUE(report.passed);
  EXPECT_NEAR(report.figures.at("bits_per_byte").at("difference").at("value").as_double(), -0.2, 1e-9);
  EXPECT_THAT(report.reasons.front(), HasSubstr("on 100 held-out documents"));
}

TEST(Gate, TheSameModelPasses) {
  EXPECT_TRUE(compare_with_production(scores(50, 2.0), scores(50, 2.0), {}).passed);
}

TEST(Gate, AWorseCandidateIsRefusedWithFigures) {
  const GateReport report = compare_with_production(scores(100, 2.3), scores(100, 2.0), {});
  EXPECT_FALSE(report.passed);
  EXPECT_THAT(report.reasons.front(), HasSubstr("the difference is +0.3000"));
}

TEST(Gate, AnUncertainDifferenceIsRefused) {
  // The same on average, but the documents differ wildly: the upper bound is far above the limit.
  const GateReport report =
      compare_with_production(scores(30, 2.0, "en", 1), scores(30, 2.0, "en", 2), {.min_documents = 20});
  EXPECT_FALSE(report.passed);
}

TEST(Gate, TooFewDocumentsProveNothing) {
  const GateReport report = compare_with_production(scores(5, 1.0), scores(5, 2.0), {});
  EXPECT_FALSE(report.passed);
  EXPECT_THAT(report.reasons.front(), HasSubstr("only 5 held-out documents"));
}

TEST(Gate, ModelsScoredOnDifferentDocumentsAreNotCompared) {
  EXPECT_FALSE(compare_with_production(scores(50, 1.0), scores(60, 2.0), {}).passed);
}

TEST(Gate, AScoreThatIsNoNumberIsRefused) {
  auto broken = scores(50, 1.0);
  broken[3].bits = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(compare_with_production(broken, scores(50, 2.0), {}).passed);
}

TEST(Gate, ALanguageThatGotWorseRefusesThoughTheWholeIsBetter) {
  auto candidate = scores(300, 1.5, "en");
  auto production = scores(300, 2.0, "en");
  const auto zh_candidate = scores(30, 2.6, "zh");
  const auto zh_production = scores(30, 2.0, "zh");
  candidate.insert(candidate.end(), zh_candidate.begin(), zh_candidate.end());
  production.insert(production.end(), zh_production.begin(), zh_production.end());
  const GateReport report = compare_with_production(candidate, production, {});
  EXPECT_FALSE(report.passed);
  EXPECT_THAT(report.reasons.back(), HasSubstr("clearly worse in 'zh'"));
}

TEST(Gate, TheFirstVersionMustBeatByteFrequencies) {
  const std::string text(200, 'a');
  const std::vector<std::string> texts(30, text);
  const std::vector<std::string> training = {std::string(10000, 'a') + std::string(10000, 'b')};
  const auto flat = [](double bits) {
    return std::vector<DocumentScore>(30, DocumentScore{"en", bits * 200, 200, 60, 10});
  };
  EXPECT_TRUE(compare_with_unigram(flat(0.9), texts, training, {}).passed);
  const GateReport refused = compare_with_unigram(flat(1.2), texts, training, {});
  EXPECT_FALSE(refused.passed);
  EXPECT_THAT(refused.reasons.front(), HasSubstr("guessing by byte frequency 1.0"));
}

TEST(Gate, EveryConditionMustHold) {
  GateReport report;
  add_condition(report, true, "a");
  EXPECT_TRUE(report.passed);
  add_condition(report, false, "b");
  add_condition(report, true, "c");
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(report.reasons, (std::vector<std::string>{"a", "refused: b", "c"}));
}

// A report on 200 rows of which the first `right` are right, and how fast it was.
EvalReport evaluation(int right, double speed) {
  EvalReport report{.title = "m on s"};
  for (int i = 0; i < 200; ++i) {
    report.row_ids.push_back(std::to_string(i));
    report.row_scores["accuracy"].push_back(i < right ? 1 : 0);
  }
  report.figures.push_back({"accuracy", {right / 200.0, right / 200.0 - 0.06, right / 200.0 + 0.06}});
  report.figures.push_back({"answers_per_second", {speed, speed - 0.1, speed + 0.1}});
  return report;
}

GateReport gate_of(const EvalReport& production, const EvalReport& candidate) {
  // As it is read from files.
  return compare_evaluations(compare_reports(report_from_json(to_json(production)).value(),
                                             report_from_json(to_json(candidate)).value())
                                 .value());
}

TEST(Gate, EvaluationsPassUnlessAFigureIsShownToBeWorse) {
  EXPECT_TRUE(gate_of(evaluation(150, 5), evaluation(150, 5)).passed);
  const GateReport better = gate_of(evaluation(150, 5), evaluation(165, 5));
  EXPECT_TRUE(better.passed);
  EXPECT_THAT(better.reasons.front(), HasSubstr("it is better: accuracy is 0.825, was 0.75"));
  // Two rows of 200 prove nothing.
  EXPECT_TRUE(gate_of(evaluation(150, 5), evaluation(148, 5)).passed);
  // Better in one figure does not make up for worse in another.
  const GateReport mixed = gate_of(evaluation(150, 5), evaluation(165, 4));
  EXPECT_FALSE(mixed.passed);
  EXPECT_THAT(mixed.reasons.back(), HasSubstr("it is worse: answers_per_second"));
  EXPECT_EQ(mixed.figures.at("accuracy").at("verdict").as_string(), "better");
}

}  // namespace
}  // namespace volant
