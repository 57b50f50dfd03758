#include "train/objectives/label_loss.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace volant {

double label_loss(const LabelLoss& how, std::span<const float> scores, std::span<const int32_t> labels,
                  std::span<float> gradient) {
  CHECK(!labels.empty() && scores.size() % labels.size() == 0 && gradient.size() == scores.size());
  const size_t n_class = scores.size() / labels.size();
  const double each = how.label_smoothing / static_cast<double>(n_class);
  double sum = 0;
  for (size_t r = 0; r < labels.size(); ++r) {
    const std::span<const float> row = scores.subspan(r * n_class, n_class);
    const auto top = static_cast<double>(*std::max_element(row.begin(), row.end()));
    double total = 0;
    for (const float x : row) total += std::exp(static_cast<double>(x) - top);
    const double log_z = top + std::log(total), weight = how.weight(labels[r]);
    for (size_t c = 0; c < n_class; ++c) {
      const double log_p = static_cast<double>(row[c]) - log_z;
      const double target = each + (std::cmp_equal(c, labels[r]) ? 1 - how.label_smoothing : 0);
      sum -= weight * target * log_p;
      gradient[r * n_class + c] = static_cast<float>(weight * (std::exp(log_p) - target));
    }
  }
  return sum;
}

std::vector<int32_t> best_labels(std::span<const float> scores, size_t n_class) {
  std::vector<int32_t> best;
  for (size_t at = 0; at < scores.size(); at += n_class) {
    const auto row = scores.subspan(at, n_class);
    best.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return best;
}

double macro_f1(std::span<const int32_t> labels, std::span<const int32_t> guesses, size_t n_class,
                std::span<const uint32_t> rows) {
  std::vector<double> right(n_class), wrong(n_class);
  for (const uint32_t r : rows) {
    const auto label = static_cast<size_t>(labels[r]), guess = static_cast<size_t>(guesses[r]);
    if (label == guess) {
      right[label] += 1;
    } else {
      wrong[label] += 1;
      wrong[guess] += 1;
    }
  }
  double sum = 0, n = 0;
  for (size_t c = 0; c < n_class; ++c) {
    if (right[c] + wrong[c] == 0) continue;
    sum += 2 * right[c] / (2 * right[c] + wrong[c]);
    n += 1;
  }
  return n == 0 ? 0 : sum / n;
}

}  // namespace volant
