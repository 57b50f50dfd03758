#include "train/losses.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace volant {
namespace {

constexpr double kLeastProbability = 1e-300;

double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }
double sigmoid(double z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z)); }

// C, of outputs [R, C].
size_t columns_of(std::span<const float> outputs, const LossTargets& targets, std::span<float> gradient) {
  const size_t rows = targets.n_rows();
  CHECK(rows > 0 && outputs.size() % rows == 0 && gradient.size() == outputs.size());
  return outputs.size() / rows;
}

// log softmax of one row.
void log_softmax(std::span<const float> row, std::vector<double>& log_p) {
  log_p.assign(row.begin(), row.end());
  const double top = *std::max_element(log_p.begin(), log_p.end());
  double total = 0;
  for (const double z : log_p) total += std::exp(z - top);
  const double log_z = top + std::log(total);
  for (double& z : log_p) z -= log_z;
}

double cross_entropy(const LossSettings& how, std::span<const float> outputs, const LossTargets& targets,
                     std::span<float> gradient) {
  const size_t n = columns_of(outputs, targets, gradient);
  const double each = how.label_smoothing / static_cast<double>(n);
  std::vector<double> log_p;
  double sum = 0;
  for (size_t r = 0; r < targets.n_rows(); ++r) {
    const double weight = targets.row_weight(how, r);
    log_softmax(outputs.subspan(r * n, n), log_p);
    for (size_t c = 0; c < n; ++c) {
      const double target = each + (std::cmp_equal(c, targets.labels[r]) ? 1 - how.label_smoothing : 0);
      sum -= weight * target * log_p[c];
      gradient[r * n + c] = static_cast<float>(weight * (std::exp(log_p[c]) - target));
    }
  }
  return sum;
}

double binary_cross_entropy(const LossSettings& how, std::span<const float> outputs,
                            const LossTargets& targets, std::span<float> gradient) {
  CHECK(columns_of(outputs, targets, gradient) == 1);
  double sum = 0;
  for (size_t r = 0; r < outputs.size(); ++r) {
    const double weight = targets.row_weight(how, r), z = static_cast<double>(outputs[r]);
    const double target = targets.labels[r] * (1 - how.label_smoothing) + how.label_smoothing / 2;
    sum += weight * (softplus(z) - target * z);
    gradient[r] = static_cast<float>(weight * (sigmoid(z) - target));
  }
  return sum;
}

double mean_squared_error(const LossSettings& how, std::span<const float> outputs, const LossTargets& targets,
                          std::span<float> gradient) {
  CHECK(columns_of(outputs, targets, gradient) == 1);
  double sum = 0;
  for (size_t r = 0; r < outputs.size(); ++r) {
    const double weight = targets.row_weight(how, r);
    const double difference = static_cast<double>(outputs[r]) - targets.numbers[r];
    sum += weight * difference * difference;
    gradient[r] = static_cast<float>(2 * weight * difference);
  }
  return sum;
}

// The loss of a label whose probability is p, and p times its derivative by p.
std::pair<double, double> focal_of(double gamma, double log_p) {
  const double p = std::exp(log_p), rest = std::max(-std::expm1(log_p), kLeastProbability);
  const double hard = std::pow(rest, gamma);
  return {-hard * log_p, (gamma == 0 ? 0 : gamma * p * hard / rest * log_p) - hard};
}

// Of one score: the probability of the label is sigmoid(z) or sigmoid(-z).
double focal_of_scores(const LossSettings& how, std::span<const float> outputs, const LossTargets& targets,
                       std::span<float> gradient) {
  double sum = 0;
  for (size_t r = 0; r < outputs.size(); ++r) {
    const double weight = targets.row_weight(how, r), sign = targets.labels[r] == 1 ? 1 : -1;
    const double z = sign * static_cast<double>(outputs[r]);
    const auto [loss, slope] = focal_of(how.focal_gamma, -softplus(-z));
    sum += weight * loss;
    gradient[r] = static_cast<float>(weight * slope * sign * sigmoid(-z));
  }
  return sum;
}

double focal(const LossSettings& how, std::span<const float> outputs, const LossTargets& targets,
             std::span<float> gradient) {
  const size_t n = columns_of(outputs, targets, gradient);
  if (n == 1) return focal_of_scores(how, outputs, targets, gradient);
  std::vector<double> log_p;
  double sum = 0;
  for (size_t r = 0; r < targets.n_rows(); ++r) {
    const double weight = targets.row_weight(how, r);
    const auto label = static_cast<size_t>(targets.labels[r]);
    log_softmax(outputs.subspan(r * n, n), log_p);
    const auto [loss, slope] = focal_of(how.focal_gamma, log_p[label]);
    sum += weight * loss;
    for (size_t c = 0; c < n; ++c)
      gradient[r * n + c] = static_cast<float>(weight * slope * ((c == label ? 1 : 0) - std::exp(log_p[c])));
  }
  return sum;
}

}  // namespace

double LossTargets::total_weight(const LossSettings& how) const {
  double total = 0;
  for (size_t r = 0; r < n_rows(); ++r) total += row_weight(how, r);
  return total;
}

bool LossKind::takes(LossOutputs given) const {
  return std::find(outputs.begin(), outputs.end(), given) != outputs.end();
}

std::span<const LossKind> losses() {
  using enum LossOutputs;
  static const std::array<LossKind, 4> kLosses = {
      LossKind{"cross_entropy", {kEachLabel}, true, cross_entropy},
      LossKind{"binary_cross_entropy", {kOneScore}, true, binary_cross_entropy},
      LossKind{"mean_squared_error", {kNumber}, false, mean_squared_error},
      LossKind{"focal", {kEachLabel, kOneScore}, false, focal}};
  return kLosses;
}

const LossKind* find_loss(std::string_view name) {
  for (const LossKind& kind : losses())
    if (kind.name == name) return &kind;
  return nullptr;
}

const LossKind& default_loss(LossOutputs outputs) {
  return *std::ranges::find_if(losses(), [&](const LossKind& kind) { return kind.takes(outputs); });
}

}  // namespace volant
