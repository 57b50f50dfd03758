#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "eval/report/compare.h"
#include "eval/report/prediction_file.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

Estimate figure(const EvalReport& report, const std::string& name) {
  const auto found = std::ranges::find(report.figures, name, &Figure::name);
  EXPECT_NE(found, report.figures.end()) << name;
  return found == report.figures.end() ? Estimate{} : found->estimate;
}

// Rows of a calibrated classifier: the truth is drawn from the stated probabilities.
struct Drawn {
  std::vector<int32_t> truth;
  std::vector<double> probabilities;
};
Drawn draw(int n, int32_t n_classes) {
  Random random(11);
  Drawn rows;
  for (int i = 0; i < n; ++i) {
    std::vector<double> p;
    double sum = 0;
    for (int32_t c = 0; c < n_classes; ++c) {
      p.push_back(std::pow(random.uniform(), 3));
      sum += p.back();
    }
    double at = random.uniform() * sum;
    int32_t truth = 0;
    while (truth + 1 < n_classes && at >= p[static_cast<size_t>(truth)])
      at -= p[static_cast<size_t>(truth++)];
    rows.truth.push_back(truth);
    for (const double value : p) rows.probabilities.push_back(value / sum);
  }
  return rows;
}

TEST(ClassificationReport, TwoClassesHaveEveryFigureInsideItsInterval) {
  const Drawn rows = draw(600, 2);
  const EvalReport report =
      classification_report(
          {.truth = rows.truth, .probabilities = rows.probabilities, .classes = {"no", "yes"}},
          {.samples = 200})
          .value();
  for (const char* name : {"accuracy", "balanced_accuracy", "f1_macro", "matthews_correlation", "log_loss",
                           "precision", "recall", "roc_auc", "average_precision", "brier_score"}) {
    const Estimate e = figure(report, name);
    EXPECT_LT(e.low, e.value) << name;
    EXPECT_GT(e.high, e.value) << name;
  }
  EXPECT_LT(figure(report, "calibration_error").value, 0.08);  // calibrated by construction
  ASSERT_EQ(report.groups.size(), 2);
  EXPECT_EQ(report.groups[0].rows + report.groups[1].rows, 600);
  EXPECT_EQ(report.confusion.counts.size(), 4);
  EXPECT_GT(report.roc.size(), 100);
  EXPECT_EQ(report.precision_recall.back().x, 1);
  EXPECT_TRUE(report.notes.empty());
  EXPECT_EQ(report_from_json(to_json(report)).value().row_scores, report.row_scores);
}

TEST(ClassificationReport, ManyClassesAndAMissingOne) {
  const Drawn rows = draw(300, 4);
  ClassPredictions given{
      .truth = rows.truth, .probabilities = rows.probabilities, .classes = {"a", "b", "c", "d"}};
  const EvalReport report = classification_report(given, {.samples = 100}).value();
  EXPECT_GT(figure(report, "roc_auc").low, 0.5);
  EXPECT_GT(figure(report, "average_precision").low, 0.25);
  std::vector<int32_t> without_d = rows.truth;
  std::ranges::replace(without_d, 3, 0);
  given.truth = without_d;
  const EvalReport missing = classification_report(given, {.samples = 100}).value();
  ASSERT_EQ(missing.notes.size(), 2);
  EXPECT_THAT(missing.notes[0], HasSubstr("roc_auc is left out: class 3"));
  EXPECT_THAT(missing.notes[1], HasSubstr("average_precision is left out: class 3"));
}

// By hand: of six rows of six classes four are right, one has the truth in fifth and one in sixth place.
TEST(ClassificationReport, TopFiveBrierAndAveragesOfAKnownTable) {
  const std::vector<int32_t> truth{0, 1, 2, 3, 4, 5};
  std::vector<double> p;
  const auto add = [&p](std::vector<double> row) { p.insert(p.end(), row.begin(), row.end()); };
  for (size_t i = 0; i < 4; ++i) {
    add(std::vector<double>(6, 0.1));
    p[p.size() - 6 + i] = 0.5;
  }
  add({0.5, 0.2, 0.1, 0.1, 0.06, 0.04});  // 4 is fifth
  add({0.5, 0.2, 0.1, 0.1, 0.06, 0.04});  // 5 is last
  const EvalReport report =
      classification_report({.truth = truth, .probabilities = p, .classes = {"a", "b", "c", "d", "e", "f"}},
                            {.samples = 20})
          .value();
  EXPECT_NEAR(figure(report, "top_5_accuracy").value, 5.0 / 6, 1e-12);
  const double right = 0.25 + 5 * 0.01, others = 0.25 + 0.04 + 0.01 + 0.01,
               fifth = others + 0.94 * 0.94 + 0.0016, last = others + 0.0036 + 0.96 * 0.96;
  EXPECT_NEAR(figure(report, "brier_score").value, (4 * right + fifth + last) / 6, 1e-12);
  const Json averages = to_json(report).at("averages");
  EXPECT_NEAR(averages.at("micro").at("f1").at("value").to_number<double>(), 4.0 / 6, 1e-12);
  // Precision of a is 1/3, of b, c, d 1, of e and f 0.
  EXPECT_NEAR(averages.at("macro").at("precision").at("value").to_number<double>(), (1.0 / 3 + 3) / 6, 1e-12);
  EXPECT_NEAR(averages.at("weighted").at("recall").at("value").to_number<double>(), 4.0 / 6, 1e-12);
}

// Where no sample of the rows can differ: intervals by Wilson, of 20 of 20 rows from 83.9 % on. F1 of j =
// 20 of 20 is 2 j / (1 + j); the macro average of two such classes has its distance over sqrt(2).
TEST(ClassificationReport, NoFigureIsPrintedWithAnEmptyInterval) {
  std::vector<int32_t> truth;
  std::vector<double> right, constant;
  for (int i = 0; i < 40; ++i) {
    truth.push_back(i % 2);
    const double p = 0.9 - 0.001 * i;
    for (const double value : {i % 2 == 0 ? p : 1 - p, i % 2 == 0 ? 1 - p : p}) right.push_back(value);
    for (const double value : {p, 1 - p}) constant.push_back(value);
  }
  constexpr double kLow = 20 / (20 + 3.841458820694124);  // n / (n + z^2)
  const auto report_of = [&](const std::vector<double>& probabilities) {
    return classification_report({.truth = truth, .probabilities = probabilities, .classes = {"a", "b"}},
                                 {.samples = 100})
        .value();
  };
  const EvalReport all_right = report_of(right), one_class = report_of(constant);
  for (const EvalReport* report : {&all_right, &one_class}) {
    for (const Figure& f : report->figures) EXPECT_LT(f.estimate.low, f.estimate.high) << f.name;
    for (const FigureGroup& group : report->groups)
      for (const Figure& f : group.figures)
        EXPECT_LT(f.estimate.low, f.estimate.high) << group.name << f.name;
    EXPECT_THAT(report->notes, ::testing::Contains(HasSubstr("matthews_correlation is left out")));
  }
  EXPECT_NEAR(figure(all_right, "precision").low, kLow, 1e-6);
  EXPECT_NEAR(figure(all_right, "roc_auc").low, kLow, 1e-6);
  EXPECT_NEAR(figure(all_right, "balanced_accuracy").low, 1 - (1 - kLow) / std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(figure(all_right, "f1_macro").low, 1 - (1 - 2 * kLow / (1 + kLow)) / std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(figure(one_class, "balanced_accuracy").low, 0.5 - 0.5 * (1 - kLow), 1e-6);
  EXPECT_NEAR(figure(one_class, "balanced_accuracy").high, 0.5 + 0.5 * (1 - kLow), 1e-6);
  EXPECT_THAT(one_class.notes, ::testing::Contains(HasSubstr("precision is left out")));
}

TEST(ClassificationReport, TwoModelsAreComparedInPairs) {
  const Drawn rows = draw(500, 2);
  std::vector<double> noisy = rows.probabilities;
  for (size_t i = 0; i < noisy.size(); i += 2) noisy[i + 1] = 1 - (noisy[i] = 0.5 + 0.2 * (noisy[i] - 0.5));
  const std::vector<std::string> names{"no", "yes"};
  const EvalReport good =
      classification_report({.truth = rows.truth, .probabilities = rows.probabilities, .classes = names},
                            {.samples = 100})
          .value();
  const EvalReport vague =
      classification_report({.truth = rows.truth, .probabilities = noisy, .classes = names}, {.samples = 100})
          .value();
  const Comparison comparison = compare_reports(good, vague).value();
  const auto loss = std::ranges::find(comparison.figures, "log_loss", &FigureComparison::name);
  ASSERT_NE(loss, comparison.figures.end());
  EXPECT_TRUE(loss->paired);
  EXPECT_EQ(loss->verdict, Verdict::kWorse);
  EXPECT_EQ(comparison.figures[0].p_value, 1);  // the same classes are predicted
}

TEST(RegressionReport, FiguresAreThoseOfTheMetrics) {
  const std::vector<double> truth{1, 2, 3, 4}, predicted{1, 2, 3, 6}, same{2, 2, 2, 2};
  const EvalReport report = regression_report(truth, predicted).value();
  EXPECT_EQ(figure(report, "mean_squared_error").value, 1);
  EXPECT_EQ(figure(report, "mean_absolute_error").value, 0.5);
  EXPECT_NEAR(figure(report, "r_squared").value, 0.2, 1e-12);
  EXPECT_FALSE(report.figures[0].higher_is_better);
  const EvalReport flat = regression_report(same, predicted).value();
  EXPECT_EQ(flat.figures.size(), 2);
  EXPECT_THAT(flat.notes[0], HasSubstr("r_squared is left out"));
  EXPECT_FALSE(regression_report(truth, same, {"one"}));
}

TEST(PredictionFile, ClassesAndNumbersAreReported) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(
      write_file_atomic(dir / "c.jsonl",
                        "{\"truth\":\"dog\",\"probabilities\":{\"dog\":0.9,\"cat\":0.1}}\n"
                        "{\"truth\":\"cat\",\"probabilities\":{\"cat\":0.4,\"dog\":0.6}}\n"
                        "{\"id\":\"z\",\"truth\":\"cat\",\"probabilities\":{\"cat\":0.8,\"dog\":0.2}}\n"));
  const EvalReport classes = report_prediction_file(dir / "c.jsonl", {.samples = 50}).value();
  EXPECT_NEAR(figure(classes, "accuracy").value, 2.0 / 3, 1e-12);
  EXPECT_EQ(classes.confusion.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(classes.confusion.counts, (std::vector<int64_t>{1, 1, 0, 1}));
  EXPECT_EQ(classes.row_ids, (std::vector<std::string>{"0", "1", "z"}));
  ASSERT_TRUE(
      write_file_atomic(dir / "n.jsonl", "{\"truth\":1,\"predicted\":2}\n{\"truth\":3,\"predicted\":3}\n"));
  EXPECT_EQ(figure(report_prediction_file(dir / "n.jsonl").value(), "mean_squared_error").value, 0.5);
  // By hand: the relevant document first, and second of three; 1 / log2(3) = 0.6309.
  ASSERT_TRUE(write_file_atomic(dir / "r.jsonl",
                                "{\"relevance\":[0,1],\"scores\":[0.1,0.9]}\n"
                                "{\"id\":\"q\",\"relevance\":[1,0,0],\"scores\":[2,1,3]}\n"));
  const EvalReport ranked = report_prediction_file(dir / "r.jsonl", {.samples = 50}).value();
  EXPECT_NEAR(figure(ranked, "ndcg").value, (1 + 0.63093) / 2, 1e-5);
  EXPECT_EQ(figure(ranked, "mean_reciprocal_rank").value, 0.75);
  EXPECT_EQ(figure(ranked, "recall_at_10").value, 1);
  EXPECT_EQ(ranked.row_ids, (std::vector<std::string>{"0", "q"}));
  ASSERT_TRUE(write_file_atomic(dir / "bad.jsonl",
                                "{\"truth\":1,\"predicted\":2}\n{\"relevance\":[1],\"scores\":[1]}\n"));
  EXPECT_THAT(report_prediction_file(dir / "bad.jsonl").error().to_string(), HasSubstr("rows of one kind"));
  ASSERT_TRUE(write_file_atomic(dir / "bad.jsonl", "{\"relevance\":[1],\"scores\":[1, 2]}\n"));
  EXPECT_THAT(report_prediction_file(dir / "bad.jsonl").error().to_string(), HasSubstr("query '0'"));
  ASSERT_TRUE(write_file_atomic(
      dir / "bad.jsonl", "{\"truth\":1,\"predicted\":2}\n{\"truth\":\"a\",\"probabilities\":{\"a\":1}}\n"));
  EXPECT_THAT(report_prediction_file(dir / "bad.jsonl").error().to_string(),
              HasSubstr("bad.jsonl:2: expected rows of one kind"));
}

TEST(ClassificationReport, BadInputIsNamed) {
  const std::vector<int32_t> truth{0, 1};
  const std::vector<double> p{0.5, 0.5, 0.9, 0.2};
  EXPECT_THAT(
      classification_report({.truth = truth, .probabilities = p, .classes = {"a", "b"}}).error().message,
      HasSubstr("row 1 sums to 1.1"));
  EXPECT_THAT(classification_report({.truth = truth, .probabilities = p, .classes = {"a"}}).error().message,
              HasSubstr("2 to"));
}

}  // namespace
}  // namespace volant
