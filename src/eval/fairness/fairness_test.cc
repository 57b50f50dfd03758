#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "eval/fairness/fairness_report.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

struct Rows {
  std::vector<int32_t> truth, predicted;
  std::vector<std::string> groups;
  void add(int n, int32_t t, int32_t p, const char* group) {
    for (int i = 0; i < n; ++i) {
      truth.push_back(t);
      predicted.push_back(p);
      groups.emplace_back(group);
    }
  }
};

// a: 40 positive, 30 found; 60 negative, 6 called positive. b: 50 positive, 25 found; 50 negative, 20 called
// positive.
Rows known_rows() {
  Rows rows;
  rows.add(30, 1, 1, "a");
  rows.add(10, 1, 0, "a");
  rows.add(6, 0, 1, "a");
  rows.add(54, 0, 0, "a");
  rows.add(25, 1, 1, "b");
  rows.add(25, 1, 0, "b");
  rows.add(20, 0, 1, "b");
  rows.add(30, 0, 0, "b");
  rows.add(3, 1, 1, "tiny");
  return rows;
}

TEST(Fairness, RatesByGroupOfAKnownTable) {
  const Rows rows = known_rows();
  const Gap parity = demographic_parity(rows.predicted, rows.groups).value();
  ASSERT_EQ(parity.groups.size(), 3);
  EXPECT_NEAR(parity.groups[0].estimate.value, 0.36, 1e-12);
  EXPECT_NEAR(parity.groups[1].estimate.value, 0.45, 1e-12);
  EXPECT_EQ(parity.highest, "b");  // "tiny" has 100 %, but of three rows
  EXPECT_EQ(parity.lowest, "a");
  EXPECT_NEAR(parity.difference.value, 0.09, 1e-12);
  EXPECT_LT(parity.difference.low, 0);
  EXPECT_GT(parity.difference.high, 0.09);
  const EqualisedOdds odds = equalised_odds(rows.truth, rows.predicted, rows.groups).value();
  EXPECT_NEAR(odds.true_positive_rate.difference.value, 0.25, 1e-12);
  EXPECT_EQ(odds.true_positive_rate.highest, "a");
  EXPECT_GT(odds.true_positive_rate.difference.low, 0);
  EXPECT_NEAR(odds.false_positive_rate.difference.value, 0.3, 1e-12);
  EXPECT_EQ(odds.false_positive_rate.highest, "b");
  EXPECT_EQ(odds.false_positive_rate.groups.size(), 2);
}

TEST(Fairness, GroupsThatAreTooSmallAreNotCompared) {
  Rows rows;
  rows.add(50, 1, 1, "a");
  rows.add(5, 1, 0, "b");
  const Gap gap = demographic_parity(rows.predicted, rows.groups).value();
  EXPECT_FALSE(gap.compared);
  EXPECT_EQ(gap.groups.size(), 2);
}

TEST(Fairness, TheWorstSliceIsFoundAndChanceIsNot) {
  Random random(7);
  std::vector<double> scores;
  std::map<std::string, std::vector<std::string>> columns;
  for (int i = 0; i < 4000; ++i) {
    const bool young = random.below(2) == 0, rural = random.below(3) == 0;
    columns["age"].push_back(young ? "young" : "old");
    columns["place"].push_back(rural ? "rural" : "town");
    columns["noise"].push_back(std::to_string(random.below(8)));
    scores.push_back(random.uniform() < (young && rural ? 0.6 : 0.85) ? 1 : 0);
  }
  const std::vector<Slice> slices = worst_slices(scores, columns, {.min_rows = 200}).value();
  EXPECT_EQ(slices[0].name, "age = young, place = rural");
  EXPECT_NEAR(slices[0].score.value, 0.6, 0.05);
  EXPECT_NEAR(slices[0].rest, 0.85, 0.02);
  EXPECT_LT(slices[0].adjusted_p, 1e-6);
  for (const Slice& slice : slices) {
    EXPECT_GE(slice.rows, 200);
    const bool noise_alone = slice.name.starts_with("noise") && slice.name.find(',') == std::string::npos;
    EXPECT_TRUE(!noise_alone || slice.adjusted_p > 0.05) << slice.name;
  }
}

TEST(Fairness, AScoreBySliceHasItsBootstrapInterval) {
  Random random(8);
  std::vector<double> scores;
  std::vector<std::string> groups;
  for (int i = 0; i < 400; ++i) {
    groups.emplace_back(i % 2 == 0 ? "en" : "zh");
    scores.push_back(random.normal() + (i % 2 == 0 ? 1 : 0));
  }
  const Gap gap = score_by_group(scores, groups).value();
  EXPECT_EQ(gap.highest, "en");
  EXPECT_NEAR(gap.difference.value, 1, 0.35);
  EXPECT_NEAR(gap.difference.high - gap.difference.low, 2 * 1.96 * std::sqrt(2.0 / 200), 0.06);
}

TEST(Fairness, AFileOfPredictionsBecomesAReport) {
  const testing::ScratchDir dir;
  const Rows rows = known_rows();
  std::string text;
  for (size_t i = 0; i < rows.truth.size(); ++i)
    text += dump_json(JsonObject{
                {"truth", rows.truth[i]}, {"predicted", rows.predicted[i] == 1}, {"sex", rows.groups[i]}}) +
            "\n";
  ASSERT_TRUE(write_file_atomic(dir / "rows.jsonl", text));
  const EvalReport report = measure_fairness({.data = dir / "rows.jsonl", .columns = {"sex"}}).value();
  EXPECT_EQ(report.rows, 203);
  EXPECT_NEAR(report.figures[0].estimate.value, (30 + 54 + 25 + 30 + 3) / 203.0, 1e-12);
  const Json json = to_json(report);
  EXPECT_NEAR(json.at("fairness").at("sex").at("true_positive_rate").at("difference").at("value").as_double(),
              0.25, 1e-12);
  EXPECT_EQ(json.at("worst_slices").at("slices").as_array()[0].at("name").as_string(), "sex = b");
  EXPECT_THAT(to_html(report), HasSubstr("a above b"));
  ASSERT_TRUE(write_file_atomic(dir / "bad.jsonl", R"({"truth":2,"predicted":1})"));
  EXPECT_THAT(measure_fairness({.data = dir / "bad.jsonl", .columns = {"x"}}).error().to_string(),
              HasSubstr("bad.jsonl:1: expected \"truth\" to be 0, 1"));
}

TEST(Fairness, BadInputIsNamed) {
  EXPECT_THAT(
      demographic_parity(std::vector<int32_t>{1, 2}, std::vector<std::string>{"a", "a"}).error().message,
      HasSubstr("from 0 to 1, got 2"));
  EXPECT_THAT(score_by_group(std::vector<double>{1}, {}).error().message, HasSubstr("each of 1 rows, got 0"));
  EXPECT_FALSE(score_by_group({}, {}));
  EXPECT_THAT(worst_slices(std::vector<double>{1, 1}, {{"c", {"x"}}}).error().to_string(), HasSubstr("c: "));
}

}  // namespace
}  // namespace volant
