// Each loss against its published formula in plain loops of doubles, known values, and its gradient against
// differences.
#include "train/losses.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "data/job_words.h"

namespace volant {
namespace {

struct Rows {
  size_t columns = 1;
  std::vector<float> outputs;
  std::vector<int32_t> labels;
  std::vector<double> numbers, weights;
  LossTargets targets() const { return {labels, numbers, weights}; }
  double z(size_t r, size_t c) const { return static_cast<double>(outputs[r * columns + c]); }
};

Rows rows_for(LossOutputs outputs, size_t n, uint64_t seed) {
  Random random(seed);
  Rows rows;
  rows.columns = outputs == LossOutputs::kEachLabel ? 4 : 1;
  for (size_t i = 0; i < n * rows.columns; ++i)
    rows.outputs.push_back(static_cast<float>(2 * random.normal()));
  for (size_t r = 0; r < n; ++r) {
    if (outputs == LossOutputs::kNumber)
      rows.numbers.push_back(random.normal());
    else
      rows.labels.push_back(static_cast<int32_t>(random.below(rows.columns == 1 ? 2 : rows.columns)));
    rows.weights.push_back(0.5 + random.uniform());
  }
  return rows;
}

LossSettings settings_for(LossOutputs outputs) {
  LossSettings how{.label_smoothing = 0.1, .focal_gamma = 1.7, .class_weights = {2, 0.5, 1, 3}};
  if (outputs != LossOutputs::kEachLabel) how.class_weights.resize(2);
  return how;
}

double sum_of(const char* name, const LossSettings& how, const Rows& rows) {
  std::vector<float> ignored(rows.outputs.size());
  return find_loss(name)->sum(how, rows.outputs, rows.targets(), ignored);
}

double softmax(const Rows& rows, size_t r, size_t c) {
  double total = 0;
  for (size_t k = 0; k < rows.columns; ++k) total += std::exp(rows.z(r, k));
  return std::exp(rows.z(r, c)) / total;
}

TEST(Losses, EveryGradientIsTheDifferenceQuotient) {
  for (const LossKind& kind : losses())
    for (const LossOutputs outputs : kind.outputs) {
      SCOPED_TRACE(kind.name);
      Rows rows = rows_for(outputs, 6, 5);
      const LossSettings how = settings_for(outputs);
      std::vector<float> gradient(rows.outputs.size()), ignored(gradient.size());
      kind.sum(how, rows.outputs, rows.targets(), gradient);
      for (size_t i = 0; i < gradient.size(); ++i) {
        const float at = rows.outputs[i], step = 1.0F / 1024;
        rows.outputs[i] = at + step;
        const double above = kind.sum(how, rows.outputs, rows.targets(), ignored);
        rows.outputs[i] = at - step;
        const double below = kind.sum(how, rows.outputs, rows.targets(), ignored);
        rows.outputs[i] = at;
        EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) * 512, 2e-5) << i;
      }
    }
}

TEST(Losses, CrossEntropyOfSmoothedAndWeightedLabels) {
  const Rows rows = rows_for(LossOutputs::kEachLabel, 5, 2);
  const LossSettings how = settings_for(LossOutputs::kEachLabel);
  double expected = 0;
  for (size_t r = 0; r < 5; ++r) {
    const auto y = static_cast<size_t>(rows.labels[r]);
    double row = -0.9 * std::log(softmax(rows, r, y));
    for (size_t c = 0; c < 4; ++c) row -= 0.1 / 4 * std::log(softmax(rows, r, c));
    expected += rows.weights[r] * how.class_weights[y] * row;
  }
  EXPECT_NEAR(sum_of("cross_entropy", how, rows), expected, 1e-9);
}

TEST(Losses, BinaryCrossEntropyIsTheLikelihoodOfASigmoid) {
  const Rows rows = rows_for(LossOutputs::kOneScore, 7, 3);
  const LossSettings how = settings_for(LossOutputs::kOneScore);
  double expected = 0;
  for (size_t r = 0; r < 7; ++r) {
    const double p = 1 / (1 + std::exp(-rows.z(r, 0))), t = rows.labels[r] * 0.9 + 0.05;
    expected -= rows.weights[r] * how.weight(rows.labels[r]) * (t * std::log(p) + (1 - t) * std::log(1 - p));
  }
  EXPECT_NEAR(sum_of("binary_cross_entropy", how, rows), expected, 1e-9);
}

TEST(Losses, MeanSquaredErrorIsTheSquareOfTheDifference) {
  const Rows rows = rows_for(LossOutputs::kNumber, 4, 4);
  double expected = 0;
  for (size_t r = 0; r < 4; ++r) expected += rows.weights[r] * std::pow(rows.z(r, 0) - rows.numbers[r], 2);
  EXPECT_NEAR(sum_of("mean_squared_error", {}, rows), expected, 1e-9);
}

// FL = -alpha (1 - p)^gamma log p: by softmax over the labels, and by the sigmoid of one score.
TEST(Losses, FocalLessensWhatIsEasy) {
  for (const LossOutputs outputs : {LossOutputs::kEachLabel, LossOutputs::kOneScore}) {
    const Rows rows = rows_for(outputs, 6, 6);
    const LossSettings how = settings_for(outputs);
    double expected = 0;
    for (size_t r = 0; r < 6; ++r) {
      const int32_t y = rows.labels[r];
      const double p = outputs == LossOutputs::kEachLabel
                           ? softmax(rows, r, static_cast<size_t>(y))
                           : 1 / (1 + std::exp(y == 1 ? -rows.z(r, 0) : rows.z(r, 0)));
      expected -= rows.weights[r] * how.weight(y) * std::pow(1 - p, 1.7) * std::log(p);
    }
    EXPECT_NEAR(sum_of("focal", how, rows), expected, 1e-9);
  }
}

TEST(Losses, FocalWithoutGammaIsCrossEntropy) {
  LossSettings how;
  how.focal_gamma = 0;
  const Rows classes = rows_for(LossOutputs::kEachLabel, 5, 7), two = rows_for(LossOutputs::kOneScore, 5, 8);
  EXPECT_NEAR(sum_of("focal", how, classes), sum_of("cross_entropy", how, classes), 1e-9);
  EXPECT_NEAR(sum_of("focal", how, two), sum_of("binary_cross_entropy", how, two), 1e-9);
}

// Closed forms, which torch.nn gives for the same numbers: CrossEntropyLoss(label_smoothing=0.1) of (1, 2, 3)
// and class 0, BCEWithLogitsLoss of 0, MSELoss of 3 and 1, and the focal loss of p = 1/2: log(2) / 4.
TEST(Losses, KnownValues) {
  const double log_z = std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0));
  const Rows three{3, {1, 2, 3}, {0}, {}, {}};
  EXPECT_NEAR(log_z - 1, 2.407605964444380, 1e-12);
  EXPECT_NEAR(sum_of("cross_entropy", {}, three), 2.407605964444380, 1e-12);
  EXPECT_NEAR(sum_of("cross_entropy", {.label_smoothing = 0.1}, three), 0.9 * (log_z - 1) + 0.1 * (log_z - 2),
              1e-12);
  EXPECT_NEAR(sum_of("binary_cross_entropy", {}, {1, {0}, {1}, {}, {}}), 0.693147180559945, 1e-12);
  EXPECT_NEAR(sum_of("mean_squared_error", {}, {1, {3}, {}, {1.0}, {}}), 4, 1e-12);
  EXPECT_NEAR(sum_of("focal", {}, {1, {0}, {0}, {}, {}}), 0.693147180559945 / 4, 1e-12);
}

TEST(Losses, OutputsFarFromZeroStayNumbers) {
  for (const LossKind& kind : losses())
    for (const LossOutputs outputs : kind.outputs) {
      Rows rows = rows_for(outputs, 4, 9);
      for (float& z : rows.outputs) z *= 200;
      std::vector<float> gradient(rows.outputs.size());
      EXPECT_TRUE(std::isfinite(kind.sum({.focal_gamma = 0.5}, rows.outputs, rows.targets(), gradient)));
      for (const float g : gradient) EXPECT_TRUE(std::isfinite(g)) << kind.name;
    }
}

TEST(Losses, AreChosenByNameAndByWhatAModelGives) {
  std::vector<std::string> names;
  for (const LossKind& kind : losses()) names.emplace_back(kind.name);
  EXPECT_EQ(names, job_words("predict.loss"));
  EXPECT_EQ(find_loss("hinge"), nullptr);
  EXPECT_STREQ(default_loss(LossOutputs::kEachLabel).name, "cross_entropy");
  EXPECT_STREQ(default_loss(LossOutputs::kOneScore).name, "binary_cross_entropy");
  EXPECT_STREQ(default_loss(LossOutputs::kNumber).name, "mean_squared_error");
  EXPECT_FALSE(find_loss("cross_entropy")->takes(LossOutputs::kOneScore));
}

TEST(Losses, TheWeightOfRowsIsTheirOwnTimesThatOfTheirLabel) {
  const LossSettings how = settings_for(LossOutputs::kEachLabel);
  const std::vector<int32_t> labels{0, 3, 3};
  const std::vector<double> weights{1, 2, 0};
  EXPECT_DOUBLE_EQ((LossTargets{.labels = labels, .weights = weights}.total_weight(how)), 2 + 6);
  EXPECT_DOUBLE_EQ((LossTargets{.labels = labels}.total_weight({})), 3);
}

}  // namespace
}  // namespace volant
