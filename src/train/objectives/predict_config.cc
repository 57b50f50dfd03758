#include "train/objectives/predict_config.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "models/family.h"
#include "train/objectives/classify.h"
#include "train/objectives/predict_rows.h"

namespace volant {
namespace {

constexpr const char *kNetwork = "network", *kNetworkArchitecture = "NetworkForPrediction";

std::string architecture_of(const JsonObject& fields) {
  const Json* names = json_find(fields, "architectures");
  if (names == nullptr || !names->is_array() || names->as_array().empty()) return {};
  const Json& name = names->as_array()[0];
  return name.is_string() ? std::string(name.as_string()) : std::string();
}

void set_default(JsonObject& fields, const char* key, const Json& value) {
  if (!fields.contains(key)) fields[key] = value;
}

// A network unless it says otherwise; a family's own architecture where it names only the family.
Result<JsonObject> with_architecture(JsonObject fields) {
  if (!architecture_of(fields).empty()) return fields;
  const std::string type = TRY(json_string_or(Json(fields), "model_type", kNetwork));
  for (const ModelFamily* family : model_families())
    if (type == family->model_type) {
      fields["architectures"] = JsonArray{Json(family->architectures.front())};
      fields["model_type"] = type;
      return fields;
    }
  return fail(ErrorCode::kUnsupported, "there is no family of models '{}'", type).at("model.config");
}

// A list of labels that the model has stays when it has all of the rows' labels, or the job gave it.
Status set_labels(const std::vector<std::string>& labels, bool given, JsonObject& fields) {
  if (labels.size() < 2)
    return fail(ErrorCode::kInvalidArgument, "expected rows of two labels or more, got {}", labels.size());
  if (const Json* own = json_find(fields, "id2label"); own != nullptr && own->is_object()) {
    if (given) return {};
    const auto has = [&](const std::string& label) {
      return std::ranges::any_of(own->as_object(), [&](const auto& field) {
        return field.value().is_string() && std::string_view(field.value().as_string()) == label;
      });
    };
    if (std::all_of(labels.begin(), labels.end(), has)) return {};
  }
  write_labels(labels, fields);
  return {};
}

Status complete_network(const RowSummary& rows, const InputEncoder& encoder, bool given, JsonObject& fields) {
  fields["architectures"] = JsonArray{Json(kNetworkArchitecture)};
  fields["model_type"] = kNetwork;
  const bool numbers = rows.labels.empty();
  set_default(fields, "problem_type", numbers ? "regression" : "single_label_classification");
  if (!fields.contains("input_shape") && !fields.contains("vocab_size")) {
    const std::vector<int64_t> shape = encoder.shape();
    if (encoder.n_features() > 0)
      fields["input_shape"] = JsonArray(shape.begin(), shape.end());
    else
      fields["vocab_size"] = encoder.n_vocab();
  }
  if ((TRY(json_string(Json(fields), "problem_type")) == "regression") != numbers)
    return fail(ErrorCode::kInvalidArgument, "the model predicts {}, but the rows have {}",
                numbers ? "labels" : "numbers", numbers ? "numbers" : "labels");
  if (!numbers) return set_labels(rows.labels, given, fields);
  set_default(fields, "target_mean", rows.targets.mean);
  set_default(fields, "target_deviation", rows.targets.deviation);
  return {};
}

Status complete_classifier(const RowSummary& rows, const InputEncoder& encoder, bool given,
                           JsonObject& fields) {
  if (rows.labels.empty())
    return fail(ErrorCode::kUnsupported,
                "a {} predicts labels, but the rows have numbers: those are predicted by "
                "networks",
                architecture_of(fields));
  fields = TRY(labelled_config(fields, "ForSequenceClassification", rows.labels));
  set_default(fields, "vocab_size", encoder.n_vocab());
  return set_labels(rows.labels, given, fields);
}

// Whether the model can read what the encoder gives.
Status check_input(const ModelConfig& config, const InputEncoder& encoder) {
  const auto* network = std::get_if<NetworkFields>(&config.own);
  const bool reads_numbers = network != nullptr && !network->input_shape.empty();
  if (reads_numbers != (encoder.n_features() > 0))
    return fail(ErrorCode::kInvalidArgument, "the model reads {}, but the encoder gives {}",
                reads_numbers ? "numbers" : "token ids", reads_numbers ? "token ids" : "numbers");
  if (!reads_numbers) {
    if (encoder.n_vocab() <= config.vocab_size) return {};
    return fail(ErrorCode::kInvalidArgument, "the model's vocab_size is {}, but the encoder has {} tokens",
                config.vocab_size, encoder.n_vocab());
  }
  const int64_t n = std::accumulate(network->input_shape.begin(), network->input_shape.end(), int64_t{1},
                                    std::multiplies<>());
  if (n == encoder.n_features()) return {};
  return fail(ErrorCode::kInvalidArgument, "the model reads rows of {} numbers, but the encoder gives {}", n,
              encoder.n_features());
}

}  // namespace

Result<std::unique_ptr<InputEncoder>> open_encoder(const TrainJob& job) {
  const Task* task = find_task(job.predict.task);
  if (task == nullptr) {
    std::string names;
    for (const Task* each : tasks()) names += std::string(names.empty() ? "" : ", ") + each->name;
    return fail(ErrorCode::kInvalidArgument, "'task': expected one of {}, got '{}'", names, job.predict.task);
  }
  return task->load(job.predict.encoder);
}

Result<ModelConfig> predict_config(const TrainJob& job) {
  const std::unique_ptr<InputEncoder> encoder = TRY(open_encoder(job));
  const RowSummary rows = TRY(summarise_rows(job.train_rows));
  JsonObject fields = job.model_config;
  std::string where = "model.config";
  if (!job.init_from.empty()) {
    const Path file = job.init_from / "config.json";
    where = file.string();
    const Json json = TRY(parse_json(TRY(read_file(file))));
    if (!json.is_object()) return fail(ErrorCode::kParse, "expected an object").at(where);
    fields = json.as_object();
  }
  const auto complete = [&]() -> Result<ModelConfig> {
    fields = TRY(with_architecture(std::move(fields)));
    const bool is_network = architecture_of(fields) == kNetworkArchitecture;
    const bool given = job.init_from.empty();
    TRY(is_network ? complete_network(rows, *encoder, given, fields)
                   : complete_classifier(rows, *encoder, given, fields));
    ModelConfig config = TRY(ModelConfig::from_json(fields));
    TRY(check_input(config, *encoder));
    return config;
  };
  auto config = complete();
  if (!config && config.error().where.empty()) return std::move(config).error().at(where);
  return config;
}

}  // namespace volant
