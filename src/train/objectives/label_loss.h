// Cross-entropy of classes, with weights and smoothing, and what a classifier is judged by.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace volant {

struct LabelLoss {
  double label_smoothing = 0;         // the label counts 1 - this, all classes together this
  std::vector<double> class_weights;  // of a row, by its label; empty: all 1
  double weight(int32_t label) const {
    return class_weights.empty() ? 1 : class_weights[static_cast<size_t>(label)];
  }
};

// Sum over rows of weight(label) * -(1 - s) log p(label) - s / C * sum of log p, from the scores [R, C];
// writes the derivative by each. Labels are below C.
double label_loss(const LabelLoss& how, std::span<const float> scores, std::span<const int32_t> labels,
                  std::span<float> gradient);

// The best class of each row of [R, n_class].
std::vector<int32_t> best_labels(std::span<const float> scores, size_t n_class);
// Mean of the F1 of all classes that a row has or was given (2 TP / (2 TP + FP + FN)); rows as in
// train/interval.h.
double macro_f1(std::span<const int32_t> labels, std::span<const int32_t> guesses, size_t n_class,
                std::span<const uint32_t> rows);

}  // namespace volant
