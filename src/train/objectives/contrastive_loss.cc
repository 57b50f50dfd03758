#include "train/objectives/contrastive_loss.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace volant {
namespace {

// Rows of length 1, and how long they were.
struct Unit {
  std::vector<double> rows, length;
};

Unit unit_of(std::span<const double> rows, size_t n_dims) {
  Unit unit{{rows.begin(), rows.end()}, {}};
  for (size_t at = 0; at < rows.size(); at += n_dims) {
    double squares = 0;
    for (size_t i = 0; i < n_dims; ++i) squares += rows[at + i] * rows[at + i];
    unit.length.push_back(std::max(std::sqrt(squares), 1e-12));
    for (size_t i = 0; i < n_dims; ++i) unit.rows[at + i] /= unit.length.back();
  }
  return unit;
}

double dot(const double* a, const double* b, size_t n) { return std::inner_product(a, a + n, b, 0.0); }

// From the derivative by the unit vectors to that by the vectors: what changes the length is no change.
void through_length(const Unit& unit, size_t n_dims, std::span<double> gradient) {
  for (size_t r = 0; r < unit.length.size(); ++r) {
    double* g = gradient.data() + r * n_dims;
    const double* u = unit.rows.data() + r * n_dims;
    const double along = dot(g, u, n_dims);
    for (size_t i = 0; i < n_dims; ++i) g[i] = (g[i] - along * u[i]) / unit.length[r];
  }
}

}  // namespace

double contrastive_loss(size_t n_dims, double temperature, std::span<const double> anchors,
                        std::span<const double> candidates, std::span<double> anchor_gradient,
                        std::span<double> candidate_gradient) {
  const size_t n = anchors.size() / n_dims, m = candidates.size() / n_dims;
  CHECK(n > 0 && m >= n);
  CHECK(anchor_gradient.size() == anchors.size() && candidate_gradient.size() == candidates.size());
  const Unit a = unit_of(anchors, n_dims), c = unit_of(candidates, n_dims);
  std::fill(anchor_gradient.begin(), anchor_gradient.end(), 0.0);
  std::fill(candidate_gradient.begin(), candidate_gradient.end(), 0.0);
  double loss = 0;
  std::vector<double> scores(m);
  for (size_t i = 0; i < n; ++i) {
    const double* own = a.rows.data() + i * n_dims;
    for (size_t j = 0; j < m; ++j) scores[j] = dot(own, c.rows.data() + j * n_dims, n_dims) / temperature;
    const double top = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (const double s : scores) total += std::exp(s - top);
    const double log_z = top + std::log(total);
    loss += (log_z - scores[i]) / static_cast<double>(n);
    for (size_t j = 0; j < m; ++j) {
      const double g =
          (std::exp(scores[j] - log_z) - (i == j ? 1 : 0)) / (temperature * static_cast<double>(n));
      for (size_t d = 0; d < n_dims; ++d) {
        anchor_gradient[i * n_dims + d] += g * c.rows[j * n_dims + d];
        candidate_gradient[j * n_dims + d] += g * own[d];
      }
    }
  }
  through_length(a, n_dims, anchor_gradient);
  through_length(c, n_dims, candidate_gradient);
  return loss;
}

std::vector<int64_t> positive_ranks(size_t n_dims, std::span<const double> anchors,
                                    std::span<const double> candidates) {
  const Unit a = unit_of(anchors, n_dims), c = unit_of(candidates, n_dims);
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < a.length.size(); ++i) {
    const auto score = [&](size_t j) {
      return dot(a.rows.data() + i * n_dims, c.rows.data() + j * n_dims, n_dims);
    };
    const double own = score(i);
    int64_t rank = 1;
    for (size_t j = 0; j < c.length.size(); ++j) rank += j != i && score(j) >= own ? 1 : 0;
    ranks.push_back(rank);
  }
  return ranks;
}

}  // namespace volant
