// Losses of models with labels or numbers, by name: sums over rows, and their derivatives by each output.
// What they need of a model's outputs [R, C] is in their entry. The losses of language models, preferences
// and embeddings are with their objectives.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace volant {

struct LossSettings {
  double label_smoothing = 0;              // 0 to 1: the label counts 1 - this, all classes together this
  double focal_gamma = 2;                  // 0 and more: how much less what is easy counts; 0: cross-entropy
  std::vector<double> class_weights = {};  // of a row, by its label; empty: all 1
  double weight(int32_t label) const {
    return class_weights.empty() ? 1 : class_weights[static_cast<size_t>(label)];
  }
};

// What the R rows should have come out as: labels or numbers, the other one is empty.
struct LossTargets {
  std::span<const int32_t> labels = {};  // below C; of a model with one output, 0 or 1
  std::span<const double> numbers = {};  // in the unit of the outputs
  std::span<const double> weights = {};  // of rows; empty: all 1
  size_t n_rows() const { return labels.empty() ? numbers.size() : labels.size(); }
  double row_weight(const LossSettings& how, size_t r) const {
    return (weights.empty() ? 1 : weights[r]) * (labels.empty() ? 1 : how.weight(labels[r]));
  }
  // By which the sum over rows is divided.
  double total_weight(const LossSettings& how) const;
};

// Which outputs a loss is made for.
enum class LossOutputs {
  kEachLabel,  // C scores, one for each label
  kOneScore,   // C = 1: a score of the second of two labels
  kNumber,     // C = 1: a number
};

// w is the row's weight times that of its label, z the outputs, y the label, s the label smoothing.
//   cross_entropy         w * -(sum over c of t_c log softmax(z)_c), t_y = 1 - s + s / C, else t_c = s / C
//                         (Szegedy et al. 2016)
//   binary_cross_entropy  w * (log(1 + e^z) - t z), t = y (1 - s) + s / 2
//   mean_squared_error    w * (z - number)^2
//   focal                 w * -(1 - p)^gamma log p, p the probability of the label by softmax, or by sigmoid
//                         of one score (Lin et al. 2017); s has no meaning here
struct LossKind {
  const char* name;
  std::vector<LossOutputs> outputs;
  bool smooths;
  // The sum over rows; `gradient` takes the derivative by each output.
  double (*sum)(const LossSettings& how, std::span<const float> outputs, const LossTargets& targets,
                std::span<float> gradient);
  bool takes(LossOutputs given) const;
};

// In the order of job_words("predict.loss").
std::span<const LossKind> losses();
// Null when there is none of that name.
const LossKind* find_loss(std::string_view name);
// What such outputs are trained by when nothing is said.
const LossKind& default_loss(LossOutputs outputs);

}  // namespace volant
