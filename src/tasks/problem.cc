#include "tasks/problem.h"

#include <algorithm>
#include <cmath>

namespace volant {

const char* problem_name(Problem problem) {
  switch (problem) {
    case Problem::kClasses:
      return "single_label_classification";
    case Problem::kBinary:
      return "binary_classification";
    case Problem::kNumber:
      return "regression";
  }
  return "";
}

Problem problem_of(const ModelConfig& config) {
  const auto* network = std::get_if<NetworkFields>(&config.own);
  if (network == nullptr) return Problem::kClasses;
  if (network->is_binary()) return Problem::kBinary;
  return network->problem_type == problem_name(Problem::kNumber) ? Problem::kNumber : Problem::kClasses;
}

OutputFor output_for(const ModelConfig& config, int32_t label) {
  if (n_outputs(config) > 1) return {static_cast<size_t>(label), 1};
  return {0, problem_of(config) == Problem::kBinary && label == 0 ? -1.0F : 1.0F};
}

int32_t decided_label(std::span<const double> p, double threshold) {
  if (p.size() == 2) return p[1] >= threshold ? 1 : 0;
  return static_cast<int32_t>(std::ranges::max_element(p) - p.begin());
}

int64_t n_outputs(const ModelConfig& config) { return config.n_outputs(); }

double number_of(const ModelConfig& config, float output) {
  const auto* network = std::get_if<NetworkFields>(&config.own);
  const auto x = static_cast<double>(output);
  return network == nullptr ? x : network->target_mean + network->target_deviation * x;
}

TargetScale target_scale(std::span<const double> targets) {
  TargetScale scale;
  if (targets.empty()) return scale;
  const auto n = static_cast<double>(targets.size());
  for (const double x : targets) scale.mean += x / n;
  double squares = 0;
  for (const double x : targets) squares += (x - scale.mean) * (x - scale.mean);
  const double deviation = std::sqrt(squares / n);
  if (deviation > 1e-12 * std::abs(scale.mean)) scale.deviation = deviation;
  return scale;
}

std::vector<double> probabilities_of(Problem problem, std::span<const float> outputs) {
  if (problem == Problem::kNumber || outputs.empty()) return {};
  if (problem == Problem::kBinary) {
    const auto x = static_cast<double>(outputs[0]);
    // Of two large numbers of one sign neither is lost: 1 - p is computed as p of -x.
    const auto sigmoid = [](double z) {
      return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z));
    };
    return {sigmoid(-x), sigmoid(x)};
  }
  std::vector<double> out(outputs.begin(), outputs.end());
  const double most = *std::max_element(out.begin(), out.end());
  double sum = 0;
  for (double& x : out) sum += x = std::exp(x - most);
  for (double& x : out) x /= sum;
  return out;
}

}  // namespace volant
