#include "eval/metrics/classification.h"

#include <gmock/gmock.h>

#include "eval/metrics/golden_test_support.h"
#include "eval/metrics/probability.h"
#include "eval/metrics/regression.h"
#include "eval/metrics/retrieval.h"

namespace volant {
namespace {

using testing::golden_metrics;
using ::testing::HasSubstr;
using testing::numbers_of;
constexpr double kTolerance = 1e-12;

void expect_scores(const ClassScores& scores, const Json& golden) {
  const std::vector<double> expected = numbers_of<double>(golden);
  EXPECT_NEAR(scores.precision, expected[0], kTolerance);
  EXPECT_NEAR(scores.recall, expected[1], kTolerance);
  EXPECT_NEAR(scores.f1, expected[2], kTolerance);
}

TEST(Classification, ValuesAreScikitLearns) {
  const Json golden = golden_metrics("sklearn.json");
  ASSERT_EQ(golden.at("classes").as_array().size(), 3);
  for (const Json& set : golden.at("classes").as_array()) {
    const auto truth = numbers_of<int32_t>(set.at("truth")),
               predicted = numbers_of<int32_t>(set.at("predicted"));
    const auto n_classes = static_cast<int32_t>(set.at("n_classes").as_int64());
    const auto matrix = ConfusionMatrix::of(truth, predicted, n_classes).value();
    const auto counts = numbers_of<int64_t>(set.at("confusion"));
    for (int32_t t = 0; t < n_classes; ++t)
      for (int32_t p = 0; p < n_classes; ++p) EXPECT_EQ(matrix.at(t, p), counts[t * n_classes + p]);
    EXPECT_NEAR(matrix.accuracy(), json_number(set, "accuracy").value(), kTolerance);
    EXPECT_NEAR(matrix.balanced_accuracy(), json_number(set, "balanced_accuracy").value(), kTolerance);
    EXPECT_NEAR(matrix.matthews_correlation(), json_number(set, "matthews_correlation").value(), kTolerance);
    EXPECT_NEAR(matrix.cohen_kappa(), json_number(set, "cohen_kappa").value(), kTolerance);
    expect_scores(matrix.average(Average::kMicro), set.at("micro"));
    expect_scores(matrix.average(Average::kMacro), set.at("macro"));
    expect_scores(matrix.average(Average::kWeighted), set.at("weighted"));
  }
}

TEST(Classification, OneClassAloneHasNoCorrelation) {
  const std::vector<int32_t> same{1, 1, 1};
  const auto matrix = ConfusionMatrix::of(same, same, 2).value();
  EXPECT_EQ(matrix.matthews_correlation(), 0);
  EXPECT_EQ(matrix.accuracy(), 1);
  EXPECT_EQ(matrix.of_class(0).f1, 0);
  EXPECT_EQ(matrix.average(Average::kMacro).f1, 1);  // class 0 does not occur
}

TEST(Classification, BadInputIsNamed) {
  const std::vector<int32_t> two{0, 1}, three{0, 1, 2}, none;
  EXPECT_THAT(ConfusionMatrix::of(none, none, 2).error().message, HasSubstr("at least one row"));
  EXPECT_THAT(ConfusionMatrix::of(two, three, 3).error().message, HasSubstr("got 3 for 2"));
  EXPECT_THAT(ConfusionMatrix::of(three, three, 2).error().message, HasSubstr("from 0 to 1, got 2 in row 2"));
  EXPECT_EQ(ConfusionMatrix::of(two, two, 1 << 30).error().code, ErrorCode::kLimit);
}

TEST(Probability, ManyClassesAreScikitLearns) {
  const Json golden = golden_metrics("sklearn.json");
  int with_areas = 0;
  for (const Json& set : golden.at("classes").as_array()) {
    const auto truth = numbers_of<int32_t>(set.at("truth"));
    const auto probabilities = numbers_of<double>(set.at("probabilities"));
    const auto n_classes = static_cast<int32_t>(set.at("n_classes").as_int64());
    EXPECT_NEAR(log_loss(truth, probabilities, n_classes).value(), json_number(set, "log_loss").value(),
                1e-9);
    if (json_find(set, "top_2") == nullptr) continue;
    ++with_areas;
    EXPECT_NEAR(top_k_accuracy(truth, probabilities, n_classes, 2).value(), json_number(set, "top_2").value(),
                kTolerance);
    EXPECT_NEAR(roc_auc_one_vs_rest(truth, probabilities, n_classes).value(),
                json_number(set, "roc_auc_one_vs_rest").value(), kTolerance);
  }
  EXPECT_EQ(with_areas, 1);
}

TEST(Probability, BinaryScoresAreScikitLearnsAlsoWithTies) {
  const Json golden = golden_metrics("sklearn.json");
  for (const Json& set : golden.at("binary").as_array()) {
    const auto truth = numbers_of<int32_t>(set.at("truth"));
    const auto scores = numbers_of<double>(set.at("scores"));
    EXPECT_NEAR(roc_auc(truth, scores).value(), json_number(set, "roc_auc").value(), kTolerance);
    EXPECT_NEAR(average_precision(truth, scores).value(), json_number(set, "average_precision").value(),
                kTolerance);
    EXPECT_NEAR(brier_score(truth, scores).value(), json_number(set, "brier_score").value(), kTolerance);
    const auto fpr = numbers_of<double>(set.at("fpr")), tpr = numbers_of<double>(set.at("tpr"));
    const std::vector<CurvePoint> curve = roc_curve(truth, scores).value();
    ASSERT_EQ(curve.size(), fpr.size());
    for (size_t i = 0; i < curve.size(); ++i) {
      EXPECT_NEAR(curve[i].x, fpr[i], kTolerance);
      EXPECT_NEAR(curve[i].y, tpr[i], kTolerance);
    }
  }
}

// By hand: bins [0, .5) and [.5, 1]. First: 2 rows, mean confidence .3, none right; second: 2 rows, .8, one
// right.
TEST(Probability, CalibrationErrorIsTheWeightedGapOfItsBins) {
  const std::vector<int32_t> correct{0, 0, 1, 0};
  const std::vector<double> confidence{0.2, 0.4, 0.6, 1.0};
  EXPECT_NEAR(expected_calibration_error(correct, confidence, 2).value(), 0.5 * 0.3 + 0.5 * 0.3, kTolerance);
  const auto bins = calibration_bins(correct, confidence, 2).value();
  EXPECT_EQ(bins[1].rows, 2);
  EXPECT_NEAR(bins[1].confidence, 0.8, kTolerance);
  EXPECT_NEAR(bins[1].accuracy, 0.5, kTolerance);
}

TEST(Probability, BadInputIsNamed) {
  const std::vector<int32_t> ones{1, 1}, labels{0, 1};
  const std::vector<double> scores{0.5, 0.6}, nan{0.5, std::nan("")}, off{0.5, 1.5}, sums{0.5, 0.1, 0.5, 0.5};
  EXPECT_THAT(roc_auc(ones, scores).error().message, HasSubstr("both classes, all 2 rows are of class 1"));
  EXPECT_THAT(average_precision(std::vector<int32_t>{0, 0}, scores).error().message, HasSubstr("class 1"));
  EXPECT_THAT(roc_auc(labels, nan).error().message, HasSubstr("finite numbers, got nan at position 1"));
  EXPECT_THAT(brier_score(labels, off).error().message, HasSubstr("from 0 to 1, got 1.5"));
  EXPECT_THAT(log_loss(labels, sums, 2).error().message, HasSubstr("row 0 sums to 0.6"));
  EXPECT_THAT(top_k_accuracy(labels, sums, 2, 3).error().message, HasSubstr("k from 1 to 2, got 3"));
  EXPECT_THAT(calibration_bins(labels, scores, 0).error().message, HasSubstr("bins, got 0"));
  EXPECT_FALSE(roc_auc({}, {}));
}

TEST(Regression, ValuesAreScikitLearns) {
  const Json golden = golden_metrics("sklearn.json");
  const Json& set = golden.at("regression");
  const auto truth = numbers_of<double>(set.at("truth")), predicted = numbers_of<double>(set.at("predicted"));
  EXPECT_NEAR(mean_squared_error(truth, predicted).value(), json_number(set, "mean_squared_error").value(),
              kTolerance);
  EXPECT_NEAR(mean_absolute_error(truth, predicted).value(), json_number(set, "mean_absolute_error").value(),
              kTolerance);
  EXPECT_NEAR(r_squared(truth, predicted).value(), json_number(set, "r_squared").value(), kTolerance);
  EXPECT_THAT(r_squared(std::vector<double>{2, 2}, std::vector<double>{1, 3}).error().message,
              HasSubstr("that differ, all 2 are 2"));
}

TEST(Retrieval, NdcgIsScikitLearnsAlsoWithTies) {
  const Json golden = golden_metrics("sklearn.json");
  for (const Json& set : golden.at("ranking").as_array()) {
    const auto relevance = numbers_of<double>(set.at("relevance")),
               scores = numbers_of<double>(set.at("scores"));
    EXPECT_NEAR(ndcg(relevance, scores).value(), json_number(set, "ndcg").value(), kTolerance);
    EXPECT_NEAR(ndcg(relevance, scores, 5).value(), json_number(set, "ndcg_5").value(), kTolerance);
  }
}

TEST(Retrieval, RankAndRecallOfAKnownList) {
  const std::vector<double> relevance{0, 1, 0, 1, 1}, scores{5, 4, 3, 2, 1};
  EXPECT_EQ(reciprocal_rank(relevance, scores).value(), 0.5);
  EXPECT_NEAR(recall_at_k(relevance, scores, 4).value(), 2.0 / 3, kTolerance);
  EXPECT_EQ(recall_at_k(relevance, scores, 0).value(), 1);
  // All alike: the first place is shared, whatever the order in memory.
  const std::vector<double> same(5, 1.0);
  EXPECT_NEAR(recall_at_k(relevance, same, 1).value(), 0.2, kTolerance);
  EXPECT_NEAR(reciprocal_rank(relevance, same).value(), 1.0 / 3, kTolerance);
  const std::vector<double> nothing(5, 0.0);
  EXPECT_EQ(reciprocal_rank(nothing, scores).value(), 0);
  EXPECT_EQ(ndcg(nothing, scores).value(), 0);
  EXPECT_FALSE(ndcg(std::vector<double>{-1}, std::vector<double>{1}));
}

}  // namespace
}  // namespace volant
