#include "eval/report/report.h"

#include <gmock/gmock.h>

#include <cmath>

#include "eval/report/compare.h"
#include "eval/report/html.h"
#include "eval/robustness/run_robustness.h"
#include "eval/significance.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// 200 rows of which the first `right` are right.
EvalReport report_of(const std::string& model, int right) {
  EvalReport report{.title = model + " on s", .model = model, .suite = "s"};
  report.rows = 200;
  for (int i = 0; i < 200; ++i) {
    report.row_ids.push_back(std::to_string(i));
    report.row_scores["accuracy"].push_back(i < right ? 1 : 0);
  }
  report.figures.push_back({"accuracy", share_estimate(right, 200).value()});
  return report;
}

TEST(Report, FiguresStandAtTheTopWithTheirIntervals) {
  EvalReport report = report_of("m", 150);
  report.groups.push_back({.name = "law", .rows = 20, .figures = {{"accuracy", {0.5, 0.3, 0.7}}}});
  const Json json = to_json(report);
  EXPECT_EQ(json.at("accuracy").at("value").as_double(), 0.75);
  EXPECT_EQ(json.at("accuracy").at("better").as_string(), "higher");
  EXPECT_EQ(json.at("by_group").at("law").at("rows").as_int64(), 20);
  const EvalReport back = report_from_json(json).value();
  EXPECT_EQ(back.model, "m");
  ASSERT_EQ(back.groups.size(), 1);
  EXPECT_EQ(back.groups[0].figures[0].estimate.high, 0.7);
}

TEST(Report, ReportsOfHeldOutTextAreReadToo) {
  const Json json =
      parse_json(R"({"bits_per_byte":{"value":1.5,"ci95":[1.4,1.6]},"documents":10,)"
                 R"("by_language":{"en":{"bits_per_byte":{"value":1.2,"ci95":[1.1,1.3]},"documents":4}}})")
          .value();
  const EvalReport report = report_from_json(json).value();
  EXPECT_FALSE(report.figures[0].higher_is_better);
  EXPECT_EQ(report.rows, 10);
  EXPECT_EQ(report.groups[0].rows, 4);
  EXPECT_FALSE(report_from_json(parse_json("[1]").value()));
  EXPECT_THAT(report_from_json(parse_json(R"({"a":1})").value()).error().message, HasSubstr("found none"));
}

TEST(Report, RowsOfDifferentWeightAreComparedByTheirWeightedMean) {
  const auto weighted = [](double shift, double last_weight) {
    EvalReport report{.title = "losses"};
    for (int i = 0; i < 40; ++i) {
      report.row_ids.push_back(std::to_string(i));
      report.row_scores["loss"].push_back(i + (i == 39 ? 40 * shift : shift));
      report.row_scores["weights"].push_back(i == 39 ? last_weight : 1);
    }
    report.figures.push_back({"loss", {20, 19, 21}, false});
    return report;
  };
  const FigureComparison same = compare_reports(weighted(0, 0), weighted(-0.5, 0)).value().figures.at(0);
  EXPECT_TRUE(same.paired);
  EXPECT_NEAR(same.difference.value, -0.5, 1e-12) << "the last row weighs nothing";
  EXPECT_NEAR(same.difference.high, -0.5, 1e-12);
  EXPECT_EQ(same.verdict, Verdict::kBetter);
  EXPECT_FALSE(compare_reports(weighted(0, 0), weighted(-0.5, 1)).value().figures.at(0).paired);
}

TEST(Report, ThePageStandsAloneAndEscapes) {
  EvalReport report = report_of("<script>alert(1)</script>", 100);
  report.roc = roc_curve(std::vector<int32_t>{0, 1, 0, 1}, std::vector<double>{0.1, 0.9, 0.4, 0.3}).value();
  report.calibration = calibration_bins(std::vector<int32_t>{0, 1}, std::vector<double>{0.2, 0.8}).value();
  report.confusion = {{"cat", "dog & co"}, {5, 1, 2, 7}};
  report.examples.push_back({"1", "<b>why</b>", "because", "x", 0});
  const std::string html = to_html(report);
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(html, HasSubstr("<path class=\"curve\""));
  EXPECT_THAT(html, HasSubstr("said 0.80, was 1.00"));
  EXPECT_THAT(html, HasSubstr("cat as dog &amp; co: 1"));
  EXPECT_THAT(html, HasSubstr("&lt;b&gt;why&lt;/b&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http")));
}

TEST(Compare, PairsSeeWhatIntervalsDoNot) {
  // The second got 12 rows more right and none less: its interval overlaps the first's, its rows tell.
  const Comparison paired = compare_reports(report_of("a", 150), report_of("b", 162)).value();
  EXPECT_TRUE(paired.figures[0].paired);
  EXPECT_NEAR(paired.figures[0].p_value, 2.0 / 4096, 1e-9);
  EXPECT_EQ(paired.figures[0].verdict, Verdict::kBetter);
  EXPECT_NEAR(paired.figures[0].difference.value, 0.06, 1e-12);
  EvalReport other = report_of("b", 162);
  other.row_ids[0] = "another row";
  const Comparison apart = compare_reports(report_of("a", 150), other).value();
  EXPECT_FALSE(apart.figures[0].paired);
  EXPECT_EQ(apart.figures[0].verdict, Verdict::kNoDifferenceShown);
  EXPECT_EQ(compare_reports(report_of("b", 162), report_of("a", 150)).value().figures[0].verdict,
            Verdict::kWorse);
}

TEST(Compare, EqualRowsAreNoProofOfEqualModels) {
  const FigureComparison same = compare_reports(report_of("a", 150), report_of("b", 150)).value().figures[0];
  EXPECT_TRUE(same.same_scores);
  EXPECT_EQ(same.difference.value, 0);
  EXPECT_NEAR(same.difference.high, 1.959964 * std::sqrt(2.0) / 202, 1e-6);
  EXPECT_EQ(same.verdict, Verdict::kNoDifferenceShown);
}

TEST(Compare, TheTestIsNamedAndOthersStandBesideIt) {
  EvalReport first = report_of("m", 150), second = report_of("m", 162);
  first.settings = {{"shots", 5}, {"seed", 1}};
  second.settings = {{"shots", 0}, {"seed", 1}};
  first.groups = {{"law", 20, {{"accuracy", {0.5, 0.3, 0.7}}}},
                  {"only here", 2, {{"accuracy", {1, 0.2, 1}}}}};
  second.groups = {{"law", 20, {{"accuracy", {0.6, 0.4, 0.8}}}}};
  for (int i = 0; i < 200; ++i) {
    first.row_scores["f1"].push_back(0.5);
    second.row_scores["f1"].push_back(i < 150 ? 0.6 : 0.2);
  }
  first.figures.push_back({"f1", {0.5, 0.4, 0.6}});
  second.figures.push_back({"f1", {0.5, 0.4, 0.6}});
  const Comparison comparison = compare_reports(first, second).value();
  EXPECT_EQ(comparison.figures[0].tests[0].first, "McNemar");
  EXPECT_EQ(comparison.figures[1].tests[0].first, "paired bootstrap");
  EXPECT_EQ(comparison.figures[1].tests[1].first, "sign test");
  EXPECT_LT(comparison.figures[1].tests[1].second, 1e-9) << "150 rows above, 50 below";
  EXPECT_GT(comparison.figures[1].p_value, 0.05) << "the means are the same";
  const std::string html = to_html(comparison);
  EXPECT_THAT(html, HasSubstr("m (first)"));
  EXPECT_THAT(html, HasSubstr("law, second"));
  EXPECT_THAT(html, Not(HasSubstr("only here")));
  const Json settings = to_json(comparison).at("settings");
  EXPECT_EQ(settings.as_object().size(), 1);
  EXPECT_EQ(settings.at("shots").as_array()[1].as_string(), "0");
  EXPECT_EQ(report_from_json(to_json(first)).value().settings.at("shots").to_number<int>(), 5);
}

TEST(Compare, WhereLessIsBetterTheLowerOneWins) {
  EvalReport first{.title = "a"}, second{.title = "b"};
  first.figures.push_back({"bits_per_byte", {1.5, 1.45, 1.55}, false});
  second.figures.push_back({"bits_per_byte", {1.2, 1.15, 1.25}, false});
  const Comparison comparison = compare_reports(first, second).value();
  EXPECT_EQ(comparison.figures[0].verdict, Verdict::kBetter);
  EXPECT_THAT(to_html(comparison), HasSubstr("better"));
  EXPECT_EQ(to_json(comparison).at("figures").at("bits_per_byte").at("verdict").as_string(), "better");
}

TEST(Compare, ReportsWithoutACommonFigureAreRefused) {
  EvalReport other{.title = "x"};
  other.figures.push_back({"f1", {}});
  EXPECT_THAT(compare_reports(report_of("a", 1), other).error().message, HasSubstr("no figure in common"));
}

TEST(Robustness, PerturbedQuestionsAreComparedRowByRow) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto engine = Engine::open(model).value();
  Suite suite{.name = "s", .format = "choice", .kind = SuiteKind::kChoice};
  for (int i = 0; i < 6; ++i)
    suite.rows.push_back({.id = std::to_string(i),
                          .question = "Which animal barks?",
                          .choices = {"cat", "dog"},
                          .answer = i % 2});
  const std::vector<Perturbation> kinds{Perturbation::kLowerCase, Perturbation::kEmpty};
  uint64_t last = 0, all = 0;
  SuiteOptions options;
  options.on_progress = [&](uint64_t done, uint64_t total) {
    last = done;
    all = total;
  };
  const EvalReport report = run_robustness(*engine, suite, kinds, options).value();
  EXPECT_EQ(last, 18);
  EXPECT_EQ(all, 18);
  const Json json = to_json(report);
  const Json& empty = json.at("robustness").at("empty").at("accuracy");
  EXPECT_EQ(empty.at("difference").at("value").to_number<double>(),
            empty.at("perturbed").at("value").to_number<double>() -
                json.at("accuracy").at("value").to_number<double>());
  EXPECT_THAT(to_html(report), HasSubstr("lower-case"));
  suite.kind = SuiteKind::kCode;
  EXPECT_EQ(run_robustness(*engine, suite, kinds).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace volant
