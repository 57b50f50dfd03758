// The loss of embeddings against its formula in plain loops, its gradient against differences.
#include "train/objectives/contrastive_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace volant {
namespace {

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
