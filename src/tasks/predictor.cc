#include "tasks/predictor.h"

#include <algorithm>
#include <cmath>

#include "models/check_batch.h"
#include "tasks/input_batch.h"

namespace volant {
namespace {

constexpr const char* kPredictorFile = "predictor.json";

Result<double> load_threshold(const Path& folder) {
  const Path path = folder / kPredictorFile;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return 0.5;
  const auto read = [&]() -> Result<double> {
    const Json json = TRY(parse_json(TRY(read_file(path))));
    if (json.is_object())
      for (const auto& entry : json.get_object())
        if (entry.key() != "threshold")
          return fail(ErrorCode::kParse, "unknown key '{}', expected 'threshold'",
                      std::string_view(entry.key()));
    const double threshold = TRY(json_number(json, "threshold"));
    if (!(threshold >= 0 && threshold <= 1))
      return fail(ErrorCode::kParse, "expected 'threshold' from 0 to 1, got {}", threshold);
    return threshold;
  };
  Result<double> threshold = read();
  if (!threshold) return std::move(threshold).error().at(path.string());
  return threshold;
}

// Whether a model reads what an encoder gives.
Status check_match(const ModelConfig& config, const InputEncoder& encoder) {
  const auto* network = std::get_if<NetworkFields>(&config.own);
  const bool reads_tokens = network == nullptr || network->reads_tokens();
  if (reads_tokens) {
    if (encoder.n_vocab() == 0 || encoder.n_vocab() > config.vocab_size)
      return fail(ErrorCode::kParse, "the encoder gives {} different tokens, the model knows {}",
                  encoder.n_vocab(), config.vocab_size);
    return {};
  }
  int64_t n = 1;
  for (const int64_t size : network->input_shape) n *= size;
  if (encoder.n_features() != n)
    return fail(ErrorCode::kParse, "the encoder gives {} features, the model reads {}", encoder.n_features(),
                n);
  return {};
}

Error of_input(size_t i, Error error) { return std::move(error).at(fmt::format("input {}", i)); }

int64_t n_rows(const EncodedInput& input) { return input.features.empty() ? std::ssize(input.tokens) : 1; }

}  // namespace

Result<std::unique_ptr<Predictor>> Predictor::load(const Path& folder, const PredictorOptions& options) {
  if (options.batch_rows < 1)
    return fail(ErrorCode::kInvalidArgument, "expected batches of at least 1 row, got {}",
                options.batch_rows);
  const Checkpoint checkpoint = TRY(Checkpoint::open(folder));
  const ModelConfig& config = checkpoint.config();
  if (config.output != ModelOutput::kLabels)
    return fail(ErrorCode::kUnsupported,
                "{} predicts no labels or numbers: expected a classifier or a network", config.architecture)
        .at(folder.string());
  std::unique_ptr<InputEncoder> encoder = TRY(load_encoder(folder));
  if (Status status = check_match(config, *encoder); !status)
    return std::move(status).error().at(folder.string());
  std::unique_ptr<NativeModel> model =
      TRY(NativeModel::load(checkpoint, {.n_threads = options.n_threads, .n_slot = 0, .n_ctx = 0}));
  std::unique_ptr<Predictor> predictor(new Predictor(std::move(model), std::move(encoder)));
  predictor->options_ = options;
  predictor->folder_ = folder;
  predictor->threshold_ = TRY(load_threshold(folder));
  return predictor;
}

Problem Predictor::problem() const { return problem_of(config()); }
const std::vector<std::string>& Predictor::labels() const { return config().labels; }
const ModelConfig& Predictor::config() const { return model_->config(); }

Result<std::vector<Prediction>> Predictor::predict(std::span<const Json> inputs) {
  std::vector<EncodedInput> encoded;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Result<EncodedInput> one = encoder_->encode(inputs[i]);
    if (!one) return of_input(i, std::move(one).error());
    encoded.push_back(std::move(*one));
  }
  return predict_encoded(encoded);
}

Result<std::vector<Prediction>> Predictor::predict_encoded(std::span<const EncodedInput> inputs) {
  const std::vector<float> numbers = TRY(outputs(inputs));
  const auto width = static_cast<size_t>(n_outputs(config()));
  std::vector<Prediction> out(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::span<const float> own = std::span(numbers).subspan(i * width, width);
    for (const float x : own)
      if (!std::isfinite(x))
        return of_input(i, fail(ErrorCode::kInternal, "the model gives no finite numbers"));
    out[i].probabilities = probabilities_of(problem(), own);
    if (problem() == Problem::kNumber)
      out[i].value = number_of(config(), own[0]);
    else
      out[i].best = decided_label(out[i].probabilities, threshold_);
  }
  return out;
}

Status Predictor::check(const EncodedInput& input) const {
  if (encoder_->n_features() > 0) {  // as many as the model reads: load() has seen to that
    if (std::ssize(input.features) != encoder_->n_features() || !input.tokens.empty())
      return fail(ErrorCode::kInvalidArgument, "expected {} features, got {}", encoder_->n_features(),
                  input.features.size());
    return {};
  }
  if (input.tokens.empty() || !input.features.empty())
    return fail(ErrorCode::kInvalidArgument, "expected tokens, got {} and {} features", input.tokens.size(),
                input.features.size());
  if (std::ssize(input.tokens) > config().max_position_embeddings)
    return fail(ErrorCode::kInvalidArgument, "expected at most {} tokens, got {}",
                config().max_position_embeddings, input.tokens.size());
  if (!input.types.empty() && input.types.size() != input.tokens.size())
    return fail(ErrorCode::kInvalidArgument, "expected {} token types, got {}", input.tokens.size(),
                input.types.size());
  return {};
}

Result<std::vector<float>> Predictor::outputs(std::span<const EncodedInput> inputs) {
  return through(inputs, &NativeModel::output);
}

Result<std::vector<float>> Predictor::hidden(std::span<const EncodedInput> inputs) {
  return through(inputs, &NativeModel::hidden);
}

Result<std::vector<float>> Predictor::through(std::span<const EncodedInput> inputs, Pass pass) {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (Status status = check(inputs[i]); !status) return of_input(i, std::move(status).error());
  const std::lock_guard lock(mutex_);
  std::vector<float> out;
  for (size_t begin = 0; begin < inputs.size();) {
    size_t end = begin;
    for (int64_t rows = 0; end < inputs.size(); ++end) {
      rows += n_rows(inputs[end]);
      if (end > begin && rows > options_.batch_rows) break;
    }
    const std::span<const EncodedInput> some = inputs.subspan(begin, end - begin);
    const bool typed =
        std::any_of(some.begin(), some.end(), [](const EncodedInput& input) { return !input.types.empty(); });
    InputBatch flat;
    for (const EncodedInput& input : some) flat.add(input, config().rows_read(), typed);
    const Batch batch = flat.view();
    TRY(check_batch(config(), batch));
    const std::span<const float> numbers = (*model_.*pass)(batch);
    out.insert(out.end(), numbers.begin(), numbers.end());
    begin = end;
  }
  return out;
}

Result<std::vector<Reason>> Predictor::explain(const Json& input, const Prediction& prediction,
                                               ExplainMethod method) {
  if (method == ExplainMethod::kOcclusion)
    return explain_by_occlusion(
        *encoder_, config(), [&](std::span<const EncodedInput> inputs) { return outputs(inputs); }, input,
        prediction.best);
  const std::lock_guard lock(explaining_);
  if (!explainer_) explainer_ = TRY(Explainer::load(folder_, *encoder_, options_.n_threads));
  return explainer_->explain(input, prediction.best);
}

Result<std::vector<Neighbour>> Predictor::nearest(const Json& input, size_t n) {
  const EncodedInput encoded = TRY(encoder_->encode(input));
  const std::vector<float> own = TRY(hidden({&encoded, 1}));
  const std::lock_guard lock(searching_);
  if (!has_neighbours())
    return fail(ErrorCode::kNotFound,
                "this model was made without training examples to compare with: set nearest = true in "
                "[evaluate] of volant.toml, and run again");
  if (!neighbours_) neighbours_ = std::make_unique<Neighbours>(TRY(Neighbours::load(folder_)));
  return neighbours_->nearest(own, n);
}

}  // namespace volant
