// Why a model predicted what it did, by one of two methods; scores are in units of the output.
//
// Integrated gradients (Sundararajan, Taly, Yan 2017): the score of a feature is what it adds to the output
// on the straight way from a baseline to the input; together they are the difference of the outputs at both
// ends, up to the steps' error. Baselines: a black picture; the mean of every number and no category at all
// of a table; words of length zero.
//
// Occlusion (Zeiler and Fergus 2014): the score of a part (InputPart) is what the output loses without it.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/instances/input_gradient.h"
#include "tasks/task.h"

namespace volant {

enum class ExplainMethod { kIntegratedGradients, kOcclusion };
// "integrated_gradients", "occlusion"; kInvalidArgument names them.
Result<ExplainMethod> explain_method_from_name(std::string_view name);

struct Reason {
  std::string feature;  // as InputEncoder::origin() or parts() name it; those of the same name are summed
  double score = 0;  // above 0: it spoke for the prediction; in units of the output before softmax or sigmoid
};

// What the model gives for inputs: [n, outputs] before softmax or sigmoid.
using OutputsOf = std::function<Result<std::vector<float>>(std::span<const EncodedInput> inputs)>;

// By occlusion: for the label number `label`, as Explainer has it. One pass for each part, and one more.
Result<std::vector<Reason>> explain_by_occlusion(const InputEncoder& encoder, const ModelConfig& config,
                                                 const OutputsOf& outputs, const Json& input, int32_t label);

// By integrated gradients.
class Explainer {
 public:
  // `folder`: of the model; `encoder` outlives this.
  static Result<std::unique_ptr<Explainer>> load(const Path& folder, const InputEncoder& encoder,
                                                 int n_threads);

  // For the label number `label` (of two classes by one output: for or against the second), or a number's
  // value; what adds nothing is left out, the others come in the order of the input. One call at a time.
  Result<std::vector<Reason>> explain(const Json& input, int32_t label);
  // The same before they are named: one score for each feature or token, and the two outputs whose difference
  // they add up to.
  struct Scores {
    std::vector<double> of_input = {};
    double at_baseline = 0, at_input = 0;
  };
  Result<Scores> scores(const EncodedInput& input, int32_t label);

 private:
  Explainer(std::unique_ptr<InputGradient> model, const InputEncoder& encoder)
      : model_(std::move(model)), encoder_(encoder) {}
  Result<std::vector<float>> baseline() const;
  Result<Scores> feature_scores(const EncodedInput& input, int32_t label);
  Result<Scores> token_scores(const EncodedInput& input, int32_t label);
  InputGradient::Weights weights_for(int32_t label) const;

  std::unique_ptr<InputGradient> model_;
  const InputEncoder& encoder_;
};

}  // namespace volant
