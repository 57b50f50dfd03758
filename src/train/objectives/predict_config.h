// The configuration of a model of predictions, from what the job says and what its rows and its encoder are.
#pragma once
#include "tasks/task.h"
#include "train/job.h"

namespace volant {

// The encoder of job.predict.encoder. kInvalidArgument when there is no such task, or it is another's.
Result<std::unique_ptr<InputEncoder>> open_encoder(const TrainJob& job);

// job.model_config, or that of job.init_from, completed:
//   input_shape or vocab_size   the encoder's, where nothing is said
//   id2label                    the labels of the training rows, in order, unless the model has all of them
//   target_mean, _deviation     of the training rows, unless the model has them
// A model without a head for labels gets a new one. kInvalidArgument where things do not fit together,
// kUnsupported for numbers from anything but a network.
Result<ModelConfig> predict_config(const TrainJob& job);

}  // namespace volant
