// Losses on preferences, as functions of the answers' log-probabilities alone. With log p the sum over an
// answer's tokens, p the policy and q the model it started from, sigma(x) = 1 / (1 + exp(-x)):
//   DPO    (Rafailov et al. 2023)   h = beta ((log p_c - log q_c) - (log p_r - log q_r));
//          -(1 - e) log sigma(h) - e log sigma(-h), e the label smoothing (cDPO, Mitchell 2023)
//   IPO    (Azar et al. 2023)       (h / beta - 1 / (2 beta))^2
//   SimPO  (Meng et al. 2024)       -log sigma(beta (log p_c / n_c - log p_r / n_r) - gamma), n the tokens
//   ORPO   (Hong et al. 2024)       -log p_c / n_c - beta log sigma(odds(p_c) - odds(p_r)),
//          odds(p) = a - log(1 - exp(a)), a = log p / n
//   KTO    (Ethayarajh et al. 2024) r = log p - log q; w_d (1 - sigma(beta (r - z))) of a desirable answer,
//          w_u (1 - sigma(beta (z - r))) of an undesirable one; z estimates the divergence of p from q
#pragma once
#include "train/preference_job.h"

namespace volant {

struct AnswerLogProb {
  double policy = 0, reference = 0;  // sums over the answer's tokens; no reference where the loss needs none
  double n_tokens = 1;               // sum of their weights
};

struct PairLoss {
  double loss = 0;
  double d_chosen = 0, d_rejected = 0;            // derivative by policy of each
  double reward_chosen = 0, reward_rejected = 0;  // implicit ones: what the loss compares
};
// Not for kKto.
PairLoss pair_loss(const PreferenceJob& job, const AnswerLogProb& chosen, const AnswerLogProb& rejected);

struct JudgedLoss {
  double loss = 0, d_answer = 0, reward = 0;
};
JudgedLoss kto_loss(const PreferenceJob& job, const AnswerLogProb& answer, bool desirable, double divergence);

}  // namespace volant
