// Losses of classifiers and embeddings against their formulas in plain loops, gradients against differences.
#include "train/objectives/label_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/random.h"
#include "train/objectives/contrastive_loss.h"

namespace volant {
namespace {

// torch.nn.CrossEntropyLoss(label_smoothing=0.1) gives these for one row (1, 2, 3), class 0: by hand.
TEST(LabelLoss, IsCrossEntropyWithSmoothingAndWeights) {
  const std::vector<float> scores{1, 2, 3, 0, 0, 0};
  const std::vector<int32_t> labels{0, 2};
  std::vector<float> gradient(6);
  const double log_z = std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0));
  EXPECT_NEAR(label_loss({}, scores, labels, gradient), (log_z - 1) + std::log(3.0), 1e-9);
  const LabelLoss how{0.1, {2, 1, 0.5}};
  const double smooth = 0.9 * (log_z - 1) + 0.1 / 3 * (3 * log_z - 6);
  EXPECT_NEAR(label_loss(how, scores, labels, gradient), 2 * smooth + 0.5 * std::log(3.0), 1e-9);
}

TEST(LabelLoss, GradientMatchesDifferences) {
  Random random(3);
  const LabelLoss how{0.2, {0.5, 1, 3, 1}};
  std::vector<float> scores(12), gradient(12), ignored(12);
  for (float& x : scores) x = static_cast<float>(random.normal());
  const std::vector<int32_t> labels{3, 2, 0};
  label_loss(how, scores, labels, gradient);
  for (size_t i = 0; i < scores.size(); ++i) {
    const float at = scores[i];
    scores[i] = at + 1e-3F;
    const double above = label_loss(how, scores, labels, ignored);
    scores[i] = at - 1e-3F;
    const double below = label_loss(how, scores, labels, ignored);
    scores[i] = at;
    EXPECT_NEAR(static_cast<double>(gradient[i]), (above - below) / 2e-3, 1e-3);
  }
}

TEST(LabelLoss, MacroF1OfThreeClassesByHand) {
  const std::vector<int32_t> labels{0, 0, 0, 1, 1, 2}, guesses{0, 0, 1, 1, 0, 2};
  std::vector<uint32_t> rows(6);
  std::iota(rows.begin(), rows.end(), 0U);
  EXPECT_NEAR(macro_f1(labels, guesses, 4, rows), (4.0 / 6 + 2.0 / 4 + 1) / 3, 1e-12);
  EXPECT_EQ(best_labels(std::vector<float>{1, 3, 2, 5, 4, 3}, 3), (std::vector<int32_t>{1, 0}));
}

// Mean of -log softmax of cosines, in plain loops.
double info_nce(size_t n_dims, double temperature, const std::vector<double>& a,
                const std::vector<double>& c) {
  const auto cosine = [&](size_t i, size_t j) {
    double ac = 0, aa = 0, cc = 0;
    for (size_t d = 0; d < n_dims; ++d) {
      ac += a[i * n_dims + d] * c[j * n_dims + d];
      aa += a[i * n_dims + d] * a[i * n_dims + d];
      cc += c[j * n_dims + d] * c[j * n_dims + d];
    }
    return ac / std::sqrt(aa * cc);
  };
  double loss = 0;
  const size_t n = a.size() / n_dims, m = c.size() / n_dims;
  for (size_t i = 0; i < n; ++i) {
    double total = 0;
    for (size_t j = 0; j < m; ++j) total += std::exp(cosine(i, j) / temperature);
    loss += (std::log(total) - cosine(i, i) / temperature) / static_cast<double>(n);
  }
  return loss;
}

TEST(ContrastiveLoss, IsInfoNceAndItsGradientMatchesDifferences) {
  Random random(9);
  const size_t n_dims = 5;
  const double temperature = 0.3;
  std::vector<double> a(3 * n_dims), c(7 * n_dims), grad_a(a.size()), grad_c(c.size());
  for (double& x : a) x = random.normal();
  for (double& x : c) x = random.normal();
  EXPECT_NEAR(contrastive_loss(n_dims, temperature, a, c, grad_a, grad_c),
              info_nce(n_dims, temperature, a, c), 1e-12);
  const auto slope = [&](double& x) {
    const double at = x;
    x = at + 1e-6;
    const double above = info_nce(n_dims, temperature, a, c);
    x = at - 1e-6;
    const double below = info_nce(n_dims, temperature, a, c);
    x = at;
    return (above - below) / 2e-6;
  };
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(grad_a[i], slope(a[i]), 1e-7);
  for (size_t i = 0; i < c.size(); ++i) EXPECT_NEAR(grad_c[i], slope(c[i]), 1e-7);
}

TEST(ContrastiveLoss, RanksCountTheCandidatesThatAreNearer) {
  const std::vector<double> anchors{1, 0, 0, 1}, candidates{1, 0.1, 1, 0.9, 1, 0, 0, 1};
  EXPECT_EQ(positive_ranks(2, anchors, candidates), (std::vector<int64_t>{2, 2}));
}

}  // namespace
}  // namespace volant
