// A reward model: one score for a whole conversation, higher for the answer that people chose (Bradley and
// Terry 1952; the loss of Ouyang et al. 2022): -log sigmoid(score of the chosen - score of the rejected).
#pragma once
#include "train/objective.h"

namespace volant {

// Of a model with one label whose score stands at the last row.
Result<std::unique_ptr<Objective>> make_reward_model_objective(const ObjectiveContext& context);

// config.json of a decoder with such a head: "LlamaForCausalLM" becomes "LlamaForSequenceClassification" with
// the one label "reward". kUnsupported where there is none.
Result<JsonObject> reward_model_config(const JsonObject& config);

// Mean over pairs of weight * -log sigmoid(chosen - rejected), as a sum; `scores` and `gradient`: chosen and
// rejected of pair after pair. gradient empty: not asked for.
double bradley_terry_loss(std::span<const float> scores, std::span<const double> weights,
                          std::span<float> gradient);

}  // namespace volant
