// Learning from preferences: DPO, IPO, ORPO and SimPO from pairs of answers, KTO from answers that are
// judged. A step is as many rows as fill tokens_per_step; both answers of a pair are in one micro batch.
// Figures of a step and of an evaluation (there with 95 % intervals): "accuracy" (the chosen answer has the
// higher reward, a tie is half; of a judgement: its reward is on the right side of the divergence), "margin"
// of the rewards, "reward_chosen", "reward_rejected"; of pairs "log_prob_accuracy" (the chosen answer is the
// likelier one per token, which the starting model has too); of KTO "divergence".
#pragma once
#include "train/objective.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_preference_objective(const ObjectiveContext& context);

}  // namespace volant
