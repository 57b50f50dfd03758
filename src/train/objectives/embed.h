// Vectors of texts: each anchor is to be nearest to its own positive among all texts of the step
// (contrastive_loss.h). Rows: {"anchor", "positive", "negative"?: a text or several} or {"text",
// "text_pair"}.
#pragma once
#include "train/objective.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_embed_objective(const ObjectiveContext& context);

}  // namespace volant
