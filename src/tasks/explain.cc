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
constexpr double kNothing = 1e-9;

// The middle of step `i` on the way from 0 to 1.
float middle(int i, int steps) { return (static_cast<float>(i) + 0.5F) / static_cast<float>(steps); }

}  // namespace

Result<std::unique_ptr<Explainer>> Explainer::load(const Path& folder, const InputEncoder& encoder,
                                                   int n_threads) {
  return std::unique_ptr<Explainer>(
      new Explainer(TRY(InputGradient::load(TRY(Checkpoint::open(folder)), n_threads)), encoder));
}

std::pair<size_t, float> Explainer::wanted(int32_t label) const {
  if (n_outputs(model_->config()) > 1) return {static_cast<size_t>(label), 1.0F};
  return {0, problem_of(model_->config()) == Problem::kBinary && label == 0 ? -1.0F : 1.0F};
}

InputGradient::Weights Explainer::weights_for(int32_t label) const {
  return [at = wanted(label),
          width = static_cast<size_t>(n_outputs(model_->config()))](std::span<const float> output) {
    std::vector<float> weights(output.size());
    for (size_t row = 0; row < output.size() / width; ++row) weights[row * width + at.first] = at.second;
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
  const auto [column, sign] = wanted(label);
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
  const auto [column, sign] = wanted(label);
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
  if (label < 0 || label >= std::max<int64_t>(n_outputs(model_->config()), 2))
    return fail(ErrorCode::kInvalidArgument, "expected the number of a label, got {}", label);
  return input.features.empty() ? token_scores(input, label) : feature_scores(input, label);
}

Result<std::vector<Reason>> Explainer::explain(const Json& input, int32_t label) {
  const EncodedInput encoded = TRY(encoder_.encode(input));
  const Scores found = TRY(scores(encoded, label));
  std::vector<Reason> reasons;
  std::map<std::string, size_t> at;
  for (size_t i = 0; i < found.of_input.size(); ++i) {
    if (std::abs(found.of_input[i]) < kNothing) continue;
    std::string name = encoder_.origin(input, static_cast<int64_t>(i));
    const auto [entry, is_new] = at.try_emplace(name, reasons.size());
    if (is_new) reasons.push_back({std::move(name), 0});
    reasons[entry->second].score += found.of_input[i];
  }
  return reasons;
}

}  // namespace volant
