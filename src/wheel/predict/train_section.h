// [train] of a workspace of predictions, as a job has it: its own keys in "predict", the others beside it;
// and "launch", which no job has.
#pragma once
#include "wheel/config.h"
#include "wheel/launch.h"

namespace volant::predict {

// {"objective", "task", "optimizer": ..., "predict": {"loss": ...}}. kInvalidArgument names a key or a word
// that no job has, with the nearest.
Result<JsonObject> training_settings(const PredictSection& section);

// What it says of the processes that train together; a job does not.
Result<Launch> launch_of(const PredictSection& section);
// What of it makes another model: all but how it is computed.
JsonObject settings_that_count(const PredictSection& section);

}  // namespace volant::predict
