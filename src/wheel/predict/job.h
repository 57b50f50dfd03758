// The job of a model that predicts, for volant-train, from the sections of volant.toml.
#pragma once
#include "wheel/workspace.h"

namespace volant::predict {

// `rows`: the folder that prepare made. kInvalidArgument for a [model] that says nothing.
Result<JsonObject> training_job(const Workspace& workspace, const Path& rows);
// One that goes on from `model` with the rows of `file` for so many steps.
Result<JsonObject> tuning_job(const Workspace& workspace, const Path& model, const Path& file, int64_t steps,
                              double lr);

}  // namespace volant::predict
