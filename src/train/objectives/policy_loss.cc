#include "train/objectives/policy_loss.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace volant {

std::vector<double> group_advantages(std::span<const double> rewards) {
  const auto n = static_cast<double>(rewards.size());
  const double mean = std::accumulate(rewards.begin(), rewards.end(), 0.0) / n;
  double squares = 0;
  for (const double r : rewards) squares += (r - mean) * (r - mean);
  const double deviation = std::sqrt(squares / n);
  std::vector<double> advantages;
  for (const double r : rewards) advantages.push_back((r - mean) / (deviation + 1e-4));
  return advantages;
}

PolicyFigures policy_loss(const PolicyLoss& how, double advantage, std::span<const double> log_p,
                          std::span<const double> old, std::span<const double> reference,
                          std::span<double> gradient) {
  CHECK(old.size() == log_p.size() && gradient.size() == log_p.size());
  CHECK(reference.size() == log_p.size() || (reference.empty() && how.beta == 0));
  PolicyFigures sums;
  const auto n = static_cast<double>(log_p.size());
  for (size_t t = 0; t < log_p.size(); ++t) {
    const double ratio = std::exp(log_p[t] - old[t]);
    const double free = ratio * advantage;
    const double bound = std::clamp(ratio, 1 - how.clip, 1 + how.clip) * advantage;
    const bool clipped = bound < free;
    sums.loss -= std::min(free, bound);
    sums.clipped += clipped ? 1 : 0;
    gradient[t] = clipped ? 0 : -free / n;
    if (reference.empty()) continue;
    const double d = reference[t] - log_p[t], kl = std::expm1(d) - d;
    sums.kl += kl;
    sums.loss += how.beta * kl;
    gradient[t] -= how.beta * std::expm1(d) / n;
  }
  return {sums.loss / n, sums.kl / n, sums.clipped / n};
}

}  // namespace volant
