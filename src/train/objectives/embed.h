// Vectors of texts: each anchor is to be nearest to its own positive among all texts of the step
// (contrastive_loss.h). Rows: {"anchor", "positive", "negative"?: a text or several} or {"text",
// "text_pair"}.
#pragma once
#include "runtime/sentence_files.h"
#include "train/objective.h"

namespace volant {

// What the job says of pooling, else the folder that it starts from, else the mean. kUnsupported where that
// folder does what is not done here.
Result<Pooling> pooling_of(const TrainJob& job, const ModelConfig& config);

Result<std::unique_ptr<Objective>> make_embed_objective(const ObjectiveContext& context);

}  // namespace volant
