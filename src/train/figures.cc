#include "train/figures.h"

#include <algorithm>
#include <numeric>

namespace volant {

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

RocAuc::RocAuc(std::span<const int32_t> labels, std::span<const double> scores)
    : labels_(labels), rank_(scores.size()) {
  std::vector<double> different(scores.begin(), scores.end());
  std::sort(different.begin(), different.end());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  n_ranks_ = different.size();
  for (size_t r = 0; r < scores.size(); ++r)
    rank_[r] = static_cast<uint32_t>(std::lower_bound(different.begin(), different.end(), scores[r]) -
                                     different.begin());
}

double RocAuc::operator()(std::span<const uint32_t> rows) const {
  std::vector<double> ones(n_ranks_), zeros(n_ranks_);
  for (const uint32_t r : rows) (labels_[r] == 1 ? ones : zeros)[rank_[r]] += 1;
  double above = 0, n_ones = 0, n_zeros = 0;  // pairs in which the row of label 1 is higher
  for (size_t k = 0; k < n_ranks_; ++k) {
    above += ones[k] * (n_zeros + zeros[k] / 2);
    n_ones += ones[k];
    n_zeros += zeros[k];
  }
  return n_ones == 0 || n_zeros == 0 ? 0.5 : above / (n_ones * n_zeros);
}

double r_squared(std::span<const double> targets, std::span<const double> values,
                 std::span<const uint32_t> rows) {
  double mean = 0, error = 0, spread = 0;
  for (const uint32_t r : rows) mean += targets[r] / static_cast<double>(rows.size());
  for (const uint32_t r : rows) {
    error += (targets[r] - values[r]) * (targets[r] - values[r]);
    spread += (targets[r] - mean) * (targets[r] - mean);
  }
  return spread > 0 ? 1 - error / spread : 0;
}

}  // namespace volant
