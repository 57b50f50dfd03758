// The loss of GRPO (Shao et al. 2024, "DeepSeekMath"): from the log-probabilities of one sampled answer.
#pragma once
#include <span>
#include <vector>

namespace volant {

// How much better each answer of a group is than its others: (r - mean) / (deviation + 1e-4), the deviation
// that of the group itself (over n). Zeros when all are equal.
std::vector<double> group_advantages(std::span<const double> rewards);

struct PolicyLoss {
  double clip = 0.2;  // ratios beyond 1 - clip and 1 + clip earn nothing more
  double beta = 0;    // weight of the distance to the reference
};
struct PolicyFigures {
  double loss = 0;     // mean over the tokens of the answer
  double kl = 0;       // mean of the k3 estimate of KL(policy || reference); 0 without a reference
  double clipped = 0;  // share of the tokens whose ratio earns nothing more
};

// Mean over the tokens of -min(r A, clip(r) A) + beta * (e^d - d - 1), r = e^(log_p - old), d = reference -
// log_p (Schulman 2020, k3). `reference` may be empty when beta is 0. Writes the derivative by each log_p.
PolicyFigures policy_loss(const PolicyLoss& how, double advantage, std::span<const double> log_p,
                          std::span<const double> old, std::span<const double> reference,
                          std::span<double> gradient);

}  // namespace volant
