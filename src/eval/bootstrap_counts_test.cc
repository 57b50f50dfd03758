// Samples as counts of rows give what copies of the rows give, for every metric that takes counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "eval/bootstrap.h"
#include "eval/metrics/classification.h"
#include "eval/metrics/probability.h"
#include "eval/metrics/regression.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

// Rows of two classes with many equal scores, and two columns of numbers.
struct Rows {
  std::vector<int32_t> truth, said;
  std::vector<double> score, number, guess;

  Rows at(std::span<const size_t> rows) const {
    Rows copy;
    for (const size_t row : rows) {
      copy.truth.push_back(truth[row]);
      copy.said.push_back(said[row]);
      copy.score.push_back(score[row]);
      copy.number.push_back(number[row]);
      copy.guess.push_back(guess[row]);
    }
    return copy;
  }
};

Rows drawn_rows(int n) {
  Random random(21);
  Rows rows;
  for (int i = 0; i < n; ++i) {
    const double score = static_cast<double>(random.below(11)) / 10;
    rows.score.push_back(score);
    rows.truth.push_back(random.uniform() < score ? 1 : 0);
    rows.said.push_back(score > 0.5 ? 1 : 0);
    rows.number.push_back(random.normal());
    rows.guess.push_back(rows.number.back() + 0.5 * random.normal());
  }
  return rows;
}

std::vector<Result<double>> figures(const Rows& r, RowCounts counts) {
  const auto matrix = ConfusionMatrix::of(r.truth, r.said, 2, counts).value();
  const auto ranked = RankedScores::of(r.truth, r.score).value();
  return {matrix.accuracy(),
          matrix.balanced_accuracy(),
          matrix.matthews_correlation(),
          matrix.cohen_kappa(),
          matrix.average(Average::kWeighted).f1,
          ranked.roc_auc(counts),
          ranked.average_precision(counts),
          brier_score(r.truth, r.score, counts),
          expected_calibration_error(r.truth, r.score, 7, counts),
          mean_squared_error(r.number, r.guess, counts),
          mean_absolute_error(r.number, r.guess, counts),
          r_squared(r.number, r.guess, counts),
          mean_of(r.number, counts)};
}

void expect_same(const Rows& rows, const BootstrapOptions& options) {
  const size_t n = rows.truth.size();
  const auto counted = bootstrap_counts(
                           n, [&](RowCounts counts) { return figures(rows, counts); }, options)
                           .value();
  for (size_t m = 0; m < counted.size(); ++m) {
    const RowMetric copied = [&](std::span<const size_t> chosen) -> Result<double> {
      return figures(rows.at(chosen), {})[m];
    };
    const Estimate of_copies = bootstrap(n, copied, options).value(), of_counts = counted[m].value();
    EXPECT_NEAR(of_counts.value, of_copies.value, 1e-12) << m;
    EXPECT_NEAR(of_counts.low, of_copies.low, 1e-12) << m;
    EXPECT_NEAR(of_counts.high, of_copies.high, 1e-12) << m;
    EXPECT_LT(of_counts.low, of_counts.high) << m;
  }
}

TEST(BootstrapCounts, IntervalsAreThoseOfCopiedRows) {
  expect_same(drawn_rows(120), {.samples = 100, .seed = 5});
}

TEST(BootstrapCounts, RowsOfAGroupAreDrawnTogether) {
  std::vector<int64_t> groups;
  for (int64_t i = 0; i < 90; ++i) groups.push_back(i * i % 17);
  expect_same(drawn_rows(90), {.samples = 60, .seed = 2, .groups = groups});
}

// One metric may lack what the others have.
TEST(BootstrapCounts, EachMetricHasItsOwnError) {
  const std::vector<int32_t> alone(40, 0);
  const std::vector<double> score(40, 0.25);
  const auto ranked = RankedScores::of(alone, score).value();
  const auto both =
      bootstrap_counts(40, [&](RowCounts counts) -> std::vector<Result<double>> {
        return {ranked.roc_auc(counts), brier_score(alone, score, counts),
                counts.empty() ? Result<double>(1.0) : fail(ErrorCode::kInvalidArgument, "only of all rows")};
      }).value();
  EXPECT_THAT(both[0].error().message, HasSubstr("both classes, all 40 rows are of class 0"));
  EXPECT_EQ(both[1].value().high, 0.0625);
  EXPECT_THAT(both[2].error().message, HasSubstr("only 0 of 1000 samples"));
  EXPECT_FALSE(bootstrap_counts(0, [](RowCounts) { return std::vector<Result<double>>{}; }));
}

TEST(BootstrapCounts, CountsThatDoNotFitAreRefused) {
  const std::vector<int32_t> labels{0, 1};
  const std::vector<double> scores{0.5, 0.6};
  const std::vector<uint32_t> three{1, 1, 1}, none{0, 0};
  EXPECT_THAT(brier_score(labels, scores, three).error().message, HasSubstr("each of 2 rows, got 3"));
  EXPECT_THAT(brier_score(labels, scores, none).error().message, HasSubstr("all counts are 0"));
  EXPECT_FALSE(ConfusionMatrix::of(labels, labels, 2, three));
  EXPECT_FALSE(mean_squared_error(scores, scores, none));
  EXPECT_FALSE(RankedScores::of(labels, scores).value().roc_auc(three));
}

}  // namespace
}  // namespace volant
