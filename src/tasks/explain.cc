#include "tasks/explain.h"

#include <algorithm>
#include <map>

#include "io/image.h"
#include "tasks/input_batch.h"
#include "tasks/problem.h"
#include "text/base64.h"

namespace volant {
namespace {

constexpr int kFeatureSteps = 64, kTokenSteps = 24;
constexpr double kNothing = 1e-9;  // a score that says nothing

// Those of the same name together, without those that add nothing.
class Reasons {
 public:
  void add(std::string name, double score) {
    if (std::abs(score) < kNothing) return;
    const auto [entry, is_new] = at_.try_emplace(name, list_.size());
    if (is_new) list_.push_back({std::move(name), 0});
    list_[entry->second].score += score;
  }
  std::vector<Reason> take() { return std::move(list_); }

 private:
  std::vector<Reason> list_;
  std::map<std::string, size_t> at_;
};

Status check_label(const ModelConfig& config, int32_t label) {
  if (label < 0 || label >= std::max<int64_t>(n_outputs(config), 2))
    return fail(ErrorCode::kInvalidArgument, "expected the number of a label, got {}", label);
  return {};
}

// The middle of step `i` on the way from 0 to 1.
float middle(int i, int steps) { return (static_cast<float>(i) + 0.5F) / static_cast<float>(steps); }

}  // namespace

Result<ExplainMethod> explain_method_from_name(std::string_view name) {
  if (name == "integrated_gradients") return ExplainMethod::kIntegratedGradients;
  if (name == "occlusion") return ExplainMethod::kOcclusion;
  return fail(ErrorCode::kInvalidArgument, "expected integrated_gradients or occlusion, got '{}'",
              name.substr(0, 64));
}

Result<std::vector<Reason>> explain_by_occlusion(const InputEncoder& encoder, const ModelConfig& config,
                                                 const OutputsOf& outputs, const Json& input, int32_t label) {
  TRY(check_label(config, label));
  const EncodedInput whole = TRY(encoder.encode(input));
  const std::vector<InputPart> parts = TRY(encoder.parts(input));
  const auto [column, sign] = output_for(config, label);
  const double plain = static_cast<double>(sign * TRY(outputs({&whole, 1}))[column]);
  Reasons reasons;
  for (const InputPart& part : parts) {
    const EncodedInput rest = without(whole, part);
    if (rest.features.empty() && rest.tokens.empty()) continue;  // nothing is left to ask about
    reasons.add(part.name, plain - static_cast<double>(sign * TRY(outputs({&rest, 1}))[column]));
  }
  return reasons.take();
}

Result<std::unique_ptr<Explainer>> Explainer::load(const Path& folder, const InputEncoder& encoder,
                                                   int n_threads) {
  return std::unique_ptr<Explainer>(
      new Explainer(TRY(InputGradient::load(TRY(Checkpoint::open(folder)), n_threads)), encoder));
}

InputGradient::Weights Explainer::weights_for(int32_t label) const {
  return [at = output_for(model_->config(), label),
          width = static_cast<size_t>(n_outputs(model_->config()))](std::span<const float> output) {
    std::vector<float> weights(output.size());
    for (size_t row = 0; row < output.size() / width; ++row) weights[row * width + at.column] = at.sign;
    return weights;
  };
}

// Of features: a black picture as the encoder gives it; zeros of a table.
Result<std::vector<float>> Explainer::baseline() const {
  const Json schema = encoder_.schema();
  if (json_string_or(schema, "kind", "").value_or("") != "image")
    return std::vector<float>(static_cast<size_t>(encoder_.n_features()));
  Image black{
      .width = TRY(json_int(schema, "width")), .height = TRY(json_int(schema, "height")), .channels = 1};
  black.pixels.resize(static_cast<size_t>(black.width * black.height));
  const Json input(JsonObject{{"image", "data:image/png;base64," + encode_base64(TRY(encode_png(black)))}});
  return TRY(encoder_.encode(input)).features;
}

Result<Explainer::Scores> Explainer::feature_scores(const EncodedInput& input, int32_t label) {
  const std::vector<float> from = TRY(baseline());
  const size_t n = input.features.size();
  // Both ends, and the middles of the steps between them.
  InputBatch points;
  const auto add = [&](float part) {
    EncodedInput point{.features = from};
    for (size_t i = 0; i < n; ++i) point.features[i] += part * (input.features[i] - from[i]);
    points.add(point, RowsRead::kFirst, false);
  };
  add(0);
  for (int step = 0; step < kFeatureSteps; ++step) add(middle(step, kFeatureSteps));
  add(1);
  const InputGradient::Pass pass = TRY(model_->gradient(points.view(), weights_for(label)));
  const auto [column, sign] = output_for(model_->config(), label);
  const size_t width = pass.output.size() / (kFeatureSteps + 2);
  Scores scores{.of_input = std::vector<double>(n),
                .at_baseline = static_cast<double>(sign * pass.output[column]),
                .at_input = static_cast<double>(sign * pass.output[(kFeatureSteps + 1) * width + column])};
  for (size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (size_t step = 1; step <= kFeatureSteps; ++step)
      sum += static_cast<double>(pass.gradient[step * n + i]);
    scores.of_input[i] = sum / kFeatureSteps * static_cast<double>(input.features[i] - from[i]);
  }
  return scores;
}

Result<Explainer::Scores> Explainer::token_scores(const EncodedInput& input, int32_t label) {
  InputBatch one;
  one.add(input, model_->config().rows_read(), !input.types.empty());
  const auto [column, sign] = output_for(model_->config(), label);
  const auto output_at = [&](float scale) -> Result<double> {
    const auto nothing = [](std::span<const float> output) { return std::vector<float>(output.size()); };
    return static_cast<double>(sign * TRY(model_->gradient(one.view(), nothing, scale)).output[column]);
  };
  Scores scores{.of_input = std::vector<double>(input.tokens.size()),
                .at_baseline = TRY(output_at(0)),
                .at_input = TRY(output_at(1))};
  for (int step = 0; step < kTokenSteps; ++step) {
    const float scale = middle(step, kTokenSteps);
    const InputGradient::Pass pass = TRY(model_->gradient(one.view(), weights_for(label), scale));
    const size_t width = pass.input.size() / input.tokens.size();
    for (size_t i = 0; i < pass.input.size(); ++i)
      scores.of_input[i / width] +=
          static_cast<double>(pass.input[i] / scale) * static_cast<double>(pass.gradient[i]) / kTokenSteps;
  }
  return scores;
}

Result<Explainer::Scores> Explainer::scores(const EncodedInput& input, int32_t label) {
  TRY(check_label(model_->config(), label));
  return input.features.empty() ? token_scores(input, label) : feature_scores(input, label);
}

Result<std::vector<Reason>> Explainer::explain(const Json& input, int32_t label) {
  const EncodedInput encoded = TRY(encoder_.encode(input));
  const Scores found = TRY(scores(encoded, label));
  Reasons reasons;
  for (size_t i = 0; i < found.of_input.size(); ++i)
    if (found.of_input[i] != 0)
      reasons.add(encoder_.origin(input, static_cast<int64_t>(i)), found.of_input[i]);
  return reasons.take();
}

}  // namespace volant
