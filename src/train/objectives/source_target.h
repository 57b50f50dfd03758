// Writing a target from a source, with an encoder-decoder: each word of the target is predicted from the
// source and the true words before it.
#pragma once
#include "train/objective.h"

namespace volant {
// Rows {"prompt", "completion"}, or {"messages"} whose last one is the assistant's: the source is what stands
// before it.
Result<std::unique_ptr<Objective>> make_source_target_objective(const ObjectiveContext& context);
}  // namespace volant
