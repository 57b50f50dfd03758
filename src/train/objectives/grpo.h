// GRPO (Shao et al. 2024): the model answers each prompt several times, a rule rewards the answers, and what
// was better than its group becomes likelier. Answers are drawn from the policy itself (temperature 1) by the
// native runtime, with the weights of the step.
// Rows: {"prompt": text or [messages], "answer": text or number}, or {"messages": [...], "answer": ...} whose
// last turn, when the assistant's, is left out.
#pragma once
#include "train/objective.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_grpo_objective(const ObjectiveContext& context);

}  // namespace volant
