#include "train/objectives/preference_loss.h"

#include <algorithm>
#include <cmath>

namespace volant {
namespace {

// An answer that is certain has infinite odds: as near to it as a double tells apart from it.
constexpr double kCertain = -1e-12;

double log_sigmoid(double x) { return x >= 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); }
double sigmoid(double x) { return std::exp(log_sigmoid(x)); }

PairLoss dpo(const PreferenceJob& job, const AnswerLogProb& c, const AnswerLogProb& r) {
  PairLoss out;
  out.reward_chosen = job.beta * (c.policy - c.reference);
  out.reward_rejected = job.beta * (r.policy - r.reference);
  const double h = out.reward_chosen - out.reward_rejected, wrong = job.label_smoothing;
  out.loss = -(1 - wrong) * log_sigmoid(h) - wrong * log_sigmoid(-h);
  out.d_chosen = job.beta * (wrong * sigmoid(h) - (1 - wrong) * sigmoid(-h));
  out.d_rejected = -out.d_chosen;
  return out;
}

PairLoss ipo(const PreferenceJob& job, const AnswerLogProb& c, const AnswerLogProb& r) {
  PairLoss out;
  const double log_ratio = (c.policy - c.reference) - (r.policy - r.reference);
  const double off = log_ratio - 1 / (2 * job.beta);
  out.reward_chosen = job.beta * (c.policy - c.reference);
  out.reward_rejected = job.beta * (r.policy - r.reference);
  out.loss = off * off;
  out.d_chosen = 2 * off;
  out.d_rejected = -2 * off;
  return out;
}

PairLoss simpo(const PreferenceJob& job, const AnswerLogProb& c, const AnswerLogProb& r) {
  PairLoss out;
  out.reward_chosen = job.beta * c.policy / c.n_tokens;
  out.reward_rejected = job.beta * r.policy / r.n_tokens;
  const double h = out.reward_chosen - out.reward_rejected - job.gamma;
  out.loss = -log_sigmoid(h);
  out.d_chosen = -sigmoid(-h) * job.beta / c.n_tokens;
  out.d_rejected = sigmoid(-h) * job.beta / r.n_tokens;
  return out;
}

PairLoss orpo(const PreferenceJob& job, const AnswerLogProb& c, const AnswerLogProb& r) {
  PairLoss out;
  const double a_c = std::min(c.policy / c.n_tokens, kCertain),
               a_r = std::min(r.policy / r.n_tokens, kCertain);
  const double not_c = -std::expm1(a_c), not_r = -std::expm1(a_r);  // 1 - p
  const double odds = (a_c - std::log(not_c)) - (a_r - std::log(not_r));
  const double pull = job.beta * sigmoid(-odds);
  out.reward_chosen = job.beta * a_c;
  out.reward_rejected = job.beta * a_r;
  out.loss = -c.policy / c.n_tokens - job.beta * log_sigmoid(odds);
  out.d_chosen = (-1 - pull / not_c) / c.n_tokens;
  out.d_rejected = pull / not_r / r.n_tokens;
  return out;
}

}  // namespace

PairLoss pair_loss(const PreferenceJob& job, const AnswerLogProb& chosen, const AnswerLogProb& rejected) {
  switch (job.loss) {
    case PreferenceJob::Loss::kIpo:
      return ipo(job, chosen, rejected);
    case PreferenceJob::Loss::kOrpo:
      return orpo(job, chosen, rejected);
    case PreferenceJob::Loss::kSimpo:
      return simpo(job, chosen, rejected);
    case PreferenceJob::Loss::kDpo:
    case PreferenceJob::Loss::kKto:
      break;
  }
  return dpo(job, chosen, rejected);
}

JudgedLoss kto_loss(const PreferenceJob& job, const AnswerLogProb& answer, bool desirable,
                    double divergence) {
  const double log_ratio = answer.policy - answer.reference, sign = desirable ? 1 : -1;
  const double weight = desirable ? job.desirable_weight : job.undesirable_weight;
  const double value = sigmoid(sign * job.beta * (log_ratio - divergence));
  return {.loss = weight * (1 - value),
          .d_answer = -weight * sign * job.beta * value * (1 - value),
          .reward = job.beta * log_ratio};
}

}  // namespace volant
