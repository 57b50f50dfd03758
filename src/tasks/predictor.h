// Predictor: a model of a task on the native backend: inputs as users write them in, labels with their
// probabilities or numbers out. Without torch. Thread safe; one batch at a time.
#pragma once
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "models/instances/native.h"
#include "tasks/explain.h"
#include "tasks/neighbours.h"
#include "tasks/problem.h"
#include "tasks/task.h"

namespace volant {

struct Prediction {
  std::vector<double> probabilities = {};  // of the labels, in their order; sum 1
  int32_t best = 0;                        // the most likely one, or what the threshold says of two
  double value = 0;                        // of numbers, in the unit of the training data
};

struct PredictorOptions {
  int n_threads = 0;         // 0: all cores
  int64_t batch_rows = 256;  // inputs, or tokens of inputs, at a time
};

class Predictor {
 public:
  // `folder`: config.json, model.safetensors, encoder.json and, optional, predictor.json {"threshold": 0.3}.
  static Result<std::unique_ptr<Predictor>> load(const Path& folder, const PredictorOptions& options = {});

  // `where` of an error is the number of the input.
  Result<std::vector<Prediction>> predict(std::span<const Json> inputs);
  Result<std::vector<Prediction>> predict_encoded(std::span<const EncodedInput> inputs);
  // What the model gives before softmax, sigmoid or the unit: [n, outputs].
  Result<std::vector<float>> outputs(std::span<const EncodedInput> inputs);

  // The last hidden layer before the outputs: [n, width].
  Result<std::vector<float>> hidden(std::span<const EncodedInput> inputs);

  // The `n` training examples that this model sees as most like the input; kNotFound when none were kept.
  Result<std::vector<Neighbour>> nearest(const Json& input, size_t n);
  bool has_neighbours() const { return Neighbours::exist(folder_); }

  // Why: what in the input spoke for the prediction and what against it; see tasks/explain.h. The first call
  // for integrated gradients loads the model once more, in f32.
  Result<std::vector<Reason>> explain(const Json& input, const Prediction& prediction,
                                      ExplainMethod method = ExplainMethod::kIntegratedGradients);

  Problem problem() const;
  const std::vector<std::string>& labels() const;  // empty for numbers
  const InputEncoder& encoder() const { return *encoder_; }
  const ModelConfig& config() const;
  double threshold() const { return threshold_; }  // of the second of two labels

 private:
  Predictor(std::unique_ptr<NativeModel> model, std::unique_ptr<InputEncoder> encoder)
      : model_(std::move(model)), encoder_(std::move(encoder)) {}
  Status check(const EncodedInput& input) const;
  // What `pass` of the model gives, batch after batch.
  using Pass = std::span<const float> (NativeModel::*)(const Batch&);
  Result<std::vector<float>> through(std::span<const EncodedInput> inputs, Pass pass);
  std::unique_ptr<NativeModel> model_;
  std::unique_ptr<InputEncoder> encoder_;
  PredictorOptions options_;
  double threshold_ = 0.5;
  std::mutex mutex_, explaining_, searching_;
  Path folder_;
  std::unique_ptr<Explainer> explainer_;    // null until it is asked for
  std::unique_ptr<Neighbours> neighbours_;  // the same
};

}  // namespace volant
