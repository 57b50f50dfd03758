// A network's configuration; the model itself is in network.h. There is no GGUF of it.
#include <array>

#include "base/nearest.h"
#include "models/family.h"
#include "models/network_plan.h"

namespace volant {
namespace {

using Kind = NetworkLayer::Kind;

constexpr std::array kProblems = {"single_label_classification", "binary_classification", "regression"};

// All that config.json may say of a network; the last ones are Hugging Face's and change nothing here.
constexpr std::array kKeys = {"architectures",  "model_type",
                              "problem_type",   "input_shape",
                              "vocab_size",     "max_position_embeddings",
                              "layers",         "id2label",
                              "label2id",       "num_labels",
                              "target_mean",    "target_deviation",
                              "batch_norm_eps", "batch_norm_momentum",
                              "layer_norm_eps", "initializer_range",
                              "bos_token_id",   "eos_token_id",
                              "pad_token_id",   "torch_dtype",
                              "dtype",          "transformers_version"};

std::vector<std::string> keys_of(Kind kind) {
  switch (kind) {
    case Kind::kDense:
    case Kind::kEmbedding:
      return {"units"};
    case Kind::kConv:
      return {"channels", "kernel", "stride", "padding"};
    case Kind::kMaxPool:
    case Kind::kAveragePool:
      return {"size", "stride"};
    case Kind::kDropout:
      return {"p"};
    case Kind::kResidual:
      return {"layers"};
    case Kind::kLstm:
    case Kind::kGru:
      return {"units", "bidirectional"};
    default:
      return {};
  }
}

// What may stand in the place of an unknown name: ", did you mean 'units'? Known are units, type".
std::string hint(std::string_view unknown, const std::vector<std::string>& known) {
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  const std::string nearest = did_you_mean(unknown, known);
  return fmt::format("{} Known are {}", nearest.empty() ? "." : nearest, list);
}

Status only_known(const JsonObject& json, const std::vector<std::string>& known, const std::string& of) {
  for (const auto& [key, value] : json)
    if (std::find(known.begin(), known.end(), std::string_view(key)) == known.end())
      return fail(ErrorCode::kUnsupported, "{} has no '{}'{}", of, std::string_view(key), hint(key, known));
  return {};
}

Result<Kind> read_kind(const Json& json) {
  const std::string type = TRY(json_string(json, "type"));
  if (const auto kind = network_layer_kind(type)) return *kind;
  return fail(ErrorCode::kUnsupported, "there is no layer '{}'{}", type, hint(type, network_layer_names()));
}

Result<std::vector<NetworkLayer>> read_layers(const Json& json, const std::string& name);

Result<NetworkLayer> read_layer(const Json& json, const std::string& name) {
  if (!json.is_object())
    return fail(ErrorCode::kParse, "expected an object like {{\"type\": \"dense\", \"units\": 128}}");
  NetworkLayer layer;
  layer.kind = TRY(read_kind(json));
  std::vector<std::string> known = keys_of(layer.kind);
  const auto needs = [&](const char* key) {
    return std::find(known.begin(), known.end(), key) != known.end();
  };
  known.emplace_back("type");
  TRY(only_known(json.as_object(), known, fmt::format("a layer '{}'", network_layer_name(layer.kind))));
  const bool may_be_whole = layer.kind == Kind::kAveragePool;
  if (needs("units")) layer.units = TRY(json_int(json, "units"));
  if (needs("channels")) layer.channels = TRY(json_int(json, "channels"));
  if (needs("kernel")) layer.kernel = TRY(json_int(json, "kernel"));
  if (needs("size")) layer.size = TRY(may_be_whole ? json_int_or(json, "size", 0) : json_int(json, "size"));
  if (needs("stride")) layer.stride = TRY(json_int_or(json, "stride", 0));
  if (needs("padding")) layer.padding = TRY(json_int_or(json, "padding", 0));
  if (needs("p")) layer.p = TRY(json_number(json, "p"));
  if (needs("bidirectional")) layer.bidirectional = TRY(json_bool_or(json, "bidirectional", false));
  if (layer.kind == Kind::kResidual) {
    const Json* inner = json_find(json, "layers");
    layer.layers = TRY(read_layers(inner == nullptr ? Json() : *inner, name + ".layers"));
  }
  return layer;
}

Result<std::vector<NetworkLayer>> read_layers(const Json& json, const std::string& name) {
  if (!json.is_array()) return fail(ErrorCode::kParse, "'{}' must be a list of layers", name);
  std::vector<NetworkLayer> layers;
  for (const Json& each : json.as_array()) {
    const std::string own = fmt::format("{}.{}", name, layers.size());
    Result<NetworkLayer> layer = read_layer(each, own);
    if (!layer) {
      if (!layer.error().where.empty()) return std::move(layer).error();  // the layer of a residual is named
      return std::move(layer).error().at(own);
    }
    layers.push_back(std::move(layer).value());
  }
  return layers;
}

Status read_json(const Json& json, ModelConfig& c) {
  TRY(only_known(json.as_object(), {kKeys.begin(), kKeys.end()}, "the configuration of a network"));
  NetworkFields own;
  own.problem_type = TRY(json_string_or(json, "problem_type", own.problem_type));
  const std::vector<std::string> problems(kProblems.begin(), kProblems.end());
  if (std::find(problems.begin(), problems.end(), own.problem_type) == problems.end())
    return fail(ErrorCode::kUnsupported, "'problem_type': '{}' is not supported: supported are {}, {} and {}",
                own.problem_type, problems[0], problems[1], problems[2]);
  if (const Json* shape = json_find(json, "input_shape"); shape != nullptr) {
    if (!shape->is_array()) return fail(ErrorCode::kParse, "'input_shape' must be a list of sizes");
    for (const Json& size : shape->as_array()) {
      if (!size.is_int64()) return fail(ErrorCode::kParse, "'input_shape' must hold whole numbers");
      own.input_shape.push_back(size.as_int64());
    }
  }
  const Json* layers = json_find(json, "layers");
  own.layers = TRY(read_layers(layers == nullptr ? Json(JsonArray()) : *layers, "layers"));
  own.target_mean = TRY(json_number_or(json, "target_mean", own.target_mean));
  own.target_deviation = TRY(json_number_or(json, "target_deviation", own.target_deviation));
  if (!(own.target_deviation > 0))
    return fail(ErrorCode::kParse, "'target_deviation' is {}, expected more than 0", own.target_deviation);
  own.batch_norm_eps = TRY(read_eps(json, "batch_norm_eps", own.batch_norm_eps));
  own.layer_norm_eps = TRY(read_eps(json, "layer_norm_eps", own.layer_norm_eps));
  own.batch_norm_momentum = TRY(json_number_or(json, "batch_norm_momentum", own.batch_norm_momentum));
  if (!(own.batch_norm_momentum >= 0 && own.batch_norm_momentum <= 1))
    return fail(ErrorCode::kParse, "'batch_norm_momentum' is {}, expected 0 to 1", own.batch_norm_momentum);
  if (own.problem_type == "regression") {
    for (const char* key : {"id2label", "label2id", "num_labels"}) TRY(expect_absent(json, key));
    c.labels.clear();
  } else if (own.is_binary() && c.labels.size() != 2) {
    return fail(ErrorCode::kParse, "'id2label' has {} names, expected 2 of a binary_classification",
                c.labels.size());
  }
  c.initializer_range = TRY(json_number_or(json, "initializer_range", 1.0));  // of embeddings, as PyTorch's
  const NetworkPlan plan = TRY(plan_network(own, c.vocab_size));
  if (plan.reads_tokens) {
    TRY(check_range("vocab_size", c.vocab_size, 1 << 22));
    TRY(check_range("max_position_embeddings", c.max_position_embeddings, 1 << 22));
  }
  c.own = std::move(own);
  c.hidden_size = plan.n_hidden;
  c.intermediate_size = plan.n_widest;
  c.num_hidden_layers = std::max<int64_t>(1, static_cast<int64_t>(plan.steps.size()));
  c.num_attention_heads = c.num_key_value_heads = 1;
  return {};
}

Json layers_json(const std::vector<NetworkLayer>& layers) {
  JsonArray list;
  for (const NetworkLayer& layer : layers) {
    JsonObject json{{"type", network_layer_name(layer.kind)}};
    for (const std::string& key : keys_of(layer.kind)) {
      if (key == "units") json[key] = layer.units;
      if (key == "channels") json[key] = layer.channels;
      if (key == "kernel") json[key] = layer.kernel;
      if (key == "size" && layer.size != 0) json[key] = layer.size;
      if (key == "stride" && layer.stride != 0) json[key] = layer.stride;
      if (key == "padding" && layer.padding != 0) json[key] = layer.padding;
      if (key == "p") json[key] = layer.p;
      if (key == "bidirectional" && layer.bidirectional) json[key] = true;
      if (key == "layers") json[key] = layers_json(layer.layers);
    }
    list.push_back(std::move(json));
  }
  return list;
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<NetworkFields>(c.own);
  for (const char* name : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                           "num_key_value_heads", "head_dim", "tie_word_embeddings"})
    json.erase(name);
  if (own.reads_tokens()) {
    json["max_position_embeddings"] = c.max_position_embeddings;
  } else {
    for (const char* name : {"vocab_size", "max_position_embeddings", "initializer_range"}) json.erase(name);
    json["input_shape"] = JsonArray(own.input_shape.begin(), own.input_shape.end());
  }
  json["problem_type"] = own.problem_type;
  json["layers"] = layers_json(own.layers);
  json["batch_norm_eps"] = own.batch_norm_eps;
  json["batch_norm_momentum"] = own.batch_norm_momentum;
  json["layer_norm_eps"] = own.layer_norm_eps;
  if (own.problem_type != "regression") return;
  json.erase("id2label");
  json.erase("label2id");
  json["target_mean"] = own.target_mean;
  json["target_deviation"] = own.target_deviation;
}

// A bare nn.Sequential names its layers by their numbers alone.
std::string canonical_name(const std::string& name) {
  const bool is_number = !name.empty() && name[0] >= '0' && name[0] <= '9';
  return is_number ? "layers." + name : name;
}

// What PyTorch's batch norm counts.
bool may_be_left_over(const std::string& name) { return name.ends_with(".num_batches_tracked"); }

}  // namespace

const ModelFamily kNetworkFamily = {
    .model_type = "network",
    .gguf_architecture = "",
    .architectures = {"NetworkForPrediction"},
    .read_json = read_json,
    .write_json = write_json,
    .read_gguf = [](const GgufFile&, ModelConfig&) -> Status {
      return fail(ErrorCode::kUnsupported, "a network in GGUF is not supported");
    },
    .gguf_fields = [](const ModelConfig&) { return std::vector<GgufField>(); },
    .gguf_rule = [](const ModelConfig&, const std::string&) { return GgufRule(); },
    .canonical_name = canonical_name,
    .may_be_left_over = may_be_left_over,
    .is_transformer = false};

}  // namespace volant
