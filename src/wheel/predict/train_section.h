// [train] of a workspace of predictions, as a job has it: its own keys in "predict", the others beside it.
#pragma once
#include "wheel/config.h"

namespace volant::predict {

// {"objective", "task", "optimizer": ..., "predict": {"loss": ...}}. kInvalidArgument names a key or a word
// that no job has, with the nearest.
Result<JsonObject> training_settings(const PredictSection& section);

}  // namespace volant::predict
