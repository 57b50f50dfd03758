// Settings of "predict" (train/objectives/predict.h): the task and its encoder stand in the job itself, the
// rest in the job's object "predict".
//   "task": "image" | "table" | "text", "encoder": a folder with encoder.json
//   "predict": {"loss": "focal", "focal_gamma": 2, "class_weights": "balanced", "batch_size": 64,
//               "augment": {the task's own}, "input_noise": 0.1, "gradient_noise": 0.01, "l1": 1e-5,
//               "adversarial": {"epsilon": 0.1, "share": 0.5}, "judge_by": "accuracy"}
#pragma once
#include <string>

#include "base/json.h"
#include "io/file.h"
#include "train/class_weights.h"

namespace volant {

struct PredictJob {
  std::string task;
  Path encoder;

  std::string loss;  // a name in train/losses.h; empty: by the problem
  double focal_gamma = 2;
  ClassWeights class_weights;
  int64_t batch_size = 64;  // examples of a step
  JsonObject augment;       // empty: none
  // Standard deviation of noise on numbers that are read.
  double input_noise = 0;
  // Of noise on the gradients, see train/regularise.h; 0: none.
  double gradient_noise = 0;
  double l1 = 0;  // lambda of lambda * |w|
  // A share of the examples is moved by epsilon against the loss (FGSM, Goodfellow et al. 2015); 0: none.
  double adversarial_epsilon = 0, adversarial_share = 0.5;
  std::string judge_by = "loss";  // loss | accuracy: which evaluation is the best
};

// `json`: the job's object "predict".
Result<PredictJob> parse_predict_job(const Json& json);

}  // namespace volant
