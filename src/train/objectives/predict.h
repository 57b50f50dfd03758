// Labels and numbers of any task's rows (tasks/task.h): networks on numbers, networks and encoders on token
// ids. The loss is one of train/losses.h; examples may be changed at random (the task's augmenter, noise,
// steps against the loss), each by seed, epoch and row alone, so that a run that goes on sees the same ones.
// The finished model's folder takes the encoder, and is compared with the native backend: parity.json.
#pragma once
#include "train/objective.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_predict_objective(const ObjectiveContext& context);

}  // namespace volant
