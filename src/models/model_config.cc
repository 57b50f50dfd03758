#include "models/model_config.h"

#include <algorithm>
#include <cmath>

#include "models/family.h"

namespace volant {
namespace {

// Limits that keep every product of two sizes far from overflow; the largest published model is well inside.
constexpr int64_t kMaxVocab = 1 << 22, kMaxWidth = 1 << 17, kMaxLayers = 1024, kMaxHeads = 1024;
constexpr int64_t kMaxHeadDim = 256, kMaxContext = 1 << 22;
constexpr size_t kMaxLabels = 1 << 16;

Status check(const ModelConfig& c) {
  if (!c.family->is_transformer) return {};
  TRY(check_range("vocab_size", c.vocab_size, kMaxVocab));
  TRY(check_range("hidden_size", c.hidden_size, kMaxWidth));
  TRY(check_range("intermediate_size", c.intermediate_size, kMaxWidth));
  TRY(check_range("num_hidden_layers", c.num_hidden_layers, kMaxLayers));
  TRY(check_range("num_attention_heads", c.num_attention_heads, kMaxHeads));
  TRY(check_range("num_key_value_heads", c.num_key_value_heads, kMaxHeads));
  TRY(check_range("head_dim", c.head_dim, kMaxHeadDim));
  TRY(check_range("max_position_embeddings", c.max_position_embeddings, kMaxContext));
  if (c.num_attention_heads % c.num_key_value_heads != 0) {
    return fail(ErrorCode::kParse,
                "'num_attention_heads' is {}, expected a multiple of 'num_key_value_heads', {}",
                c.num_attention_heads, c.num_key_value_heads);
  }
  if (c.head_dim % 2 != 0)
    return fail(ErrorCode::kParse, "'head_dim' is {}, expected an even number", c.head_dim);
  return {};
}

std::string supported_architectures() {
  std::string list;
  for (const ModelFamily* family : model_families())
    for (const char* name : family->architectures) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

// The family and the architecture that config.json names.
Status read_architecture(const Json& json, ModelConfig& config) {
  const std::string model_type = TRY(json_string_or(json, "model_type", ""));
  if (const Json* list = json_find(json, "architectures"); list != nullptr) {
    if (!list->is_array() || list->as_array().size() != 1 || !list->as_array()[0].is_string())
      return fail(ErrorCode::kParse, "'architectures' must be a list of one name");
    config.architecture = std::string(list->as_array()[0].as_string());
  } else if (!model_type.empty()) {
    config.architecture.clear();
  }
  for (const ModelFamily* family : model_families()) {
    const auto& names = family->architectures;
    const bool by_type = config.architecture.empty() && model_type == family->model_type;
    if (by_type) config.architecture = names.front();
    if (by_type || std::ranges::find(names, config.architecture) != names.end() ||
        has_label_head(*family, config.architecture)) {
      config.family = family;
      return {};
    }
  }
  return fail(ErrorCode::kUnsupported, "{} is not supported: supported are {}",
              config.architecture.empty() ? "a model that names no architecture" : config.architecture,
              supported_architectures());
}

Result<std::vector<int64_t>> read_ids(const Json& json, const char* name) {
  std::vector<int64_t> ids;
  const Json* value = json_find(json, name);
  if (value == nullptr) return ids;
  if (value->is_int64()) return std::vector<int64_t>{value->as_int64()};
  if (!value->is_array()) return fail(ErrorCode::kParse, "'{}' must be an id or a list of ids", name);
  for (const Json& id : value->as_array()) {
    if (!id.is_int64()) return fail(ErrorCode::kParse, "'{}' must hold whole numbers", name);
    ids.push_back(id.as_int64());
  }
  return ids;
}

// "id2label": {"0": "negative", ...}, or "num_labels" alone.
Result<std::vector<std::string>> read_labels(const Json& json) {
  const Json* names = json_find(json, "id2label");
  const auto n = static_cast<size_t>(TRY(json_int_or(
      json, "num_labels",
      names != nullptr && names->is_object() ? static_cast<int64_t>(names->as_object().size()) : 2)));
  if (n < 1 || n > kMaxLabels)
    return fail(ErrorCode::kParse, "'num_labels' is {}, expected 1 to {}", n, kMaxLabels);
  std::vector<std::string> labels;
  for (size_t i = 0; i < n; ++i) labels.push_back(fmt::format("LABEL_{}", i));
  if (names == nullptr) return labels;
  if (!names->is_object() || names->as_object().size() != n)
    return fail(ErrorCode::kParse, "'id2label': expected an object with {} names", n);
  for (size_t i = 0; i < n; ++i) labels[i] = TRY(json_string(*names, std::to_string(i)));
  return labels;
}

void write_ids(const std::vector<int64_t>& ids, const char* name, JsonObject& json) {
  if (ids.size() == 1) {
    json[name] = ids[0];
  } else if (!ids.empty()) {
    json[name] = JsonArray(ids.begin(), ids.end());
  }
}

void write_labels(const std::vector<std::string>& labels, JsonObject& json) {
  JsonObject names, ids;
  for (size_t i = 0; i < labels.size(); ++i) {
    names[std::to_string(i)] = labels[i];
    ids[labels[i]] = i;
  }
  json["id2label"] = std::move(names);
  json["label2id"] = std::move(ids);
}

ModelOutput output_of(const std::string& architecture) {
  if (architecture.ends_with("Classification") || architecture.ends_with("ForPrediction"))
    return ModelOutput::kLabels;
  return architecture.ends_with("Model") && !architecture.ends_with("LMHeadModel") ? ModelOutput::kHidden
                                                                                   : ModelOutput::kNextToken;
}

}  // namespace

Result<ModelConfig> ModelConfig::from_json(const Json& json) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected a JSON object with the fields of a model");
  ModelConfig c;
  TRY(read_architecture(json, c));
  TRY(expect_absent(json, "quantization_config"));
  c.output = output_of(c.architecture);
  if (c.output == ModelOutput::kLabels) c.labels = TRY(read_labels(json));
  c.vocab_size = TRY(json_int_or(json, "vocab_size", 0));
  c.hidden_size = TRY(json_int_or(json, "hidden_size", 0));
  c.intermediate_size = TRY(json_int_or(json, "intermediate_size", 0));
  c.num_hidden_layers = TRY(json_int_or(json, "num_hidden_layers", 0));
  c.num_attention_heads = TRY(json_int_or(json, "num_attention_heads", 0));
  c.num_key_value_heads = TRY(json_int_or(json, "num_key_value_heads", c.num_attention_heads));
  c.head_dim = TRY(json_int_or(json, "head_dim", 0));
  c.max_position_embeddings = TRY(json_int_or(json, "max_position_embeddings", 2048));
  c.initializer_range = TRY(json_number_or(json, "initializer_range", 0.02));
  c.tie_word_embeddings = TRY(json_bool_or(json, "tie_word_embeddings", false));
  const std::vector<int64_t> bos = TRY(read_ids(json, "bos_token_id")),
                             pad = TRY(read_ids(json, "pad_token_id"));
  if (!bos.empty()) c.bos_token_id = bos.front();
  if (!pad.empty()) c.pad_token_id = pad.front();
  c.eos_token_ids = TRY(read_ids(json, "eos_token_id"));
  TRY(c.family->read_json(json, c));
  if (c.head_dim == 0 && c.num_attention_heads > 0) c.head_dim = c.hidden_size / c.num_attention_heads;
  TRY(check(c));
  return c;
}

Result<ModelConfig> ModelConfig::from_gguf(const GgufFile& file) {
  const std::string name = TRY(file.get_string("general.architecture"));
  ModelConfig c;
  std::string supported;
  c.family = nullptr;
  for (const ModelFamily* family : model_families()) {
    if (*family->gguf_architecture == 0) continue;
    const bool claims = family->is_gguf_of != nullptr && family->is_gguf_of(file);
    if (name == family->gguf_architecture &&
        (claims || (c.family == nullptr && family->is_gguf_of == nullptr)))
      c.family = family;
    if (family->is_gguf_of != nullptr) continue;  // another family names the architecture
    supported += (supported.empty() ? "" : ", ") + std::string(family->gguf_architecture);
  }
  if (c.family == nullptr)
    return fail(ErrorCode::kUnsupported, "architecture '{}' is not supported: supported are {}", name,
                supported);
  c.architecture = c.family->architectures.front();
  const auto key = [&](const char* end) { return name + "." + end; };
  const auto int_or = [&](const char* end, int64_t other) -> Result<int64_t> {
    return file.contains(key(end)) ? file.get_int(key(end)) : Result<int64_t>(other);
  };
  c.hidden_size = TRY(file.get_int(key("embedding_length")));
  c.num_hidden_layers = TRY(file.get_int(key("block_count")));
  c.intermediate_size = TRY(file.get_int(key("feed_forward_length")));
  c.num_attention_heads = TRY(file.get_int(key("attention.head_count")));
  TRY(check_range(key("attention.head_count").c_str(), c.num_attention_heads, kMaxHeads));
  c.num_key_value_heads = TRY(int_or("attention.head_count_kv", c.num_attention_heads));
  c.head_dim = TRY(int_or("attention.key_length", c.hidden_size / c.num_attention_heads));
  c.max_position_embeddings = TRY(file.get_int(key("context_length")));
  const auto embed = file.tensors().find("token_embd.weight");
  if (embed == file.tensors().end() || embed->second.shape.size() != 2)
    return fail(ErrorCode::kParse, "tensor 'token_embd.weight' with two dimensions is missing");
  c.vocab_size = embed->second.shape[0];
  // Our own exports say when the head is there only because llama.cpp wants one.
  const auto tied = file.metadata().find("volant.tie_word_embeddings");
  c.tie_word_embeddings = !file.tensors().contains("output.weight") ||
                          (tied != file.metadata().end() && tied->second == GgufValue(true));
  TRY(check(c));
  if (file.contains("tokenizer.ggml.bos_token_id"))
    c.bos_token_id = TRY(file.get_int("tokenizer.ggml.bos_token_id"));
  for (const char* eos : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (file.contains(eos)) c.eos_token_ids.push_back(TRY(file.get_int(eos)));
  }
  TRY(c.family->read_gguf(file, c));
  return c;
}

const RopeConfig* ModelConfig::rope() const {
  return std::visit(
      [](const auto& fields) -> const RopeConfig* {
        if constexpr (requires { fields.rope; }) return &fields.rope;
        return nullptr;
      },
      own);
}

Json ModelConfig::to_json() const {
  JsonObject json{{"architectures", JsonArray{architecture.c_str()}},
                  {"model_type", family->model_type},
                  {"vocab_size", vocab_size},
                  {"hidden_size", hidden_size},
                  {"intermediate_size", intermediate_size},
                  {"num_hidden_layers", num_hidden_layers},
                  {"num_attention_heads", num_attention_heads},
                  {"num_key_value_heads", num_key_value_heads},
                  {"head_dim", head_dim},
                  {"max_position_embeddings", max_position_embeddings},
                  {"initializer_range", initializer_range},
                  {"tie_word_embeddings", tie_word_embeddings}};
  if (bos_token_id) json["bos_token_id"] = *bos_token_id;
  if (pad_token_id) json["pad_token_id"] = *pad_token_id;
  write_ids(eos_token_ids, "eos_token_id", json);
  if (output == ModelOutput::kLabels) write_labels(labels, json);
  family->write_json(*this, json);
  return json;
}

RowsRead ModelConfig::rows_read() const {
  if (std::holds_alternative<NetworkFields>(own)) return RowsRead::kFirst;
  if (!architecture.ends_with("ForSequenceClassification")) return RowsRead::kAny;
  return has_label_head(*family, architecture) ? RowsRead::kLast : RowsRead::kFirst;
}

bool ModelConfig::is_decoder() const {
  return output == ModelOutput::kNextToken && !has_source() && !std::holds_alternative<BertFields>(own);
}

int32_t ModelConfig::start_token_id() const {
  const auto* t5 = std::get_if<T5Fields>(&own);
  return static_cast<int32_t>(t5 != nullptr ? t5->decoder_start_token_id : bos_token_id.value_or(0));
}

// A decoder with a source keeps two for each of its layers: its own rows, and the source.
int64_t ModelConfig::n_cache_layers() const {
  const auto* t5 = std::get_if<T5Fields>(&own);
  return t5 != nullptr ? 2 * t5->num_decoder_layers : num_hidden_layers;
}

int64_t ModelConfig::n_outputs() const {
  const auto* network = std::get_if<NetworkFields>(&own);
  return network != nullptr ? network->n_outputs(labels.size()) : static_cast<int64_t>(labels.size());
}

int64_t ModelConfig::n_parameters() const {
  int64_t sum = 0;
  for (const TensorSpec& spec : tensor_specs(*this))
    if (spec.role != TensorRole::kStatistic) sum += spec.count();
  return sum;
}

double ModelConfig::row_flops(bool read_out) const {
  double flops = 0;
  for (const TensorSpec& spec : tensor_specs(*this)) {
    const bool is_tied_head = spec.role == TensorRole::kEmbedding && tie_word_embeddings &&
                              output == ModelOutput::kNextToken && spec.shape[0] == vocab_size;
    const bool counts =
        spec.role == TensorRole::kMatrix || (read_out && (spec.role == TensorRole::kHead || is_tied_head));
    if (counts) flops += 2.0 * spec.active * static_cast<double>(spec.count());
  }
  return flops;
}

}  // namespace volant
