// BERT's configuration and GGUF layout; the model itself is in bert.h.
#include "models/family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_word(json, "position_embedding_type", "absolute"));
  TRY(expect_bool(json, "is_decoder", false));
  TRY(expect_bool(json, "add_cross_attention", false));
  if (json_find(json, "tie_word_embeddings") == nullptr) c.tie_word_embeddings = true;  // of this family
  if (!c.tie_word_embeddings)
    return fail(ErrorCode::kUnsupported, "'tie_word_embeddings': false is not supported in a BERT");
  const std::string act = TRY(json_string_or(json, "hidden_act", "gelu"));
  if (act != "gelu" && act != "gelu_new" && act != "gelu_pytorch_tanh")
    return fail(ErrorCode::kUnsupported,
                "'hidden_act': '{}' is not supported: supported are gelu, gelu_new and gelu_pytorch_tanh",
                act);
  const int64_t n_types = TRY(json_int_or(json, "type_vocab_size", 2));
  TRY(check_range("type_vocab_size", n_types, 1 << 16));
  if (c.num_key_value_heads != c.num_attention_heads)
    return fail(ErrorCode::kUnsupported, "'num_key_value_heads': grouped heads are not supported in a BERT");
  if (json_find(json, "max_position_embeddings") == nullptr) c.max_position_embeddings = 512;  // as above
  c.own = BertFields{.layer_norm_eps = TRY(read_eps(json, "layer_norm_eps", 1e-12)),
                     .type_vocab_size = n_types,
                     .tanh_gelu = act != "gelu",
                     .pooler = c.architecture == "BertForSequenceClassification"};
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<BertFields>(c.own);
  json.erase("num_key_value_heads");
  json.erase("head_dim");
  json["hidden_act"] = own.tanh_gelu ? "gelu_new" : "gelu";
  json["layer_norm_eps"] = own.layer_norm_eps;
  json["type_vocab_size"] = own.type_vocab_size;
  json["position_embedding_type"] = "absolute";
}

constexpr int64_t kScore = 4;  // GGUF's pooling type of a model with a head for labels

// The labels of a classifier; llama.cpp's own converter writes their names and leaves the pooler out.
Status read_gguf_labels(const GgufFile& file, ModelConfig& c) {
  const auto head = file.tensors().find("cls.output.weight");
  if (head->second.shape.size() != 2 || !file.tensors().contains("cls.weight"))
    return fail(ErrorCode::kUnsupported,
                "a classifier without its pooler is not supported: expected 'cls.weight' beside "
                "'cls.output.weight'");
  c.architecture = "BertForSequenceClassification";
  c.output = ModelOutput::kLabels;
  const auto names = file.metadata().find("bert.classifier.output_labels");
  if (names != file.metadata().end()) {
    const auto* labels = std::get_if<std::vector<std::string>>(&names->second);
    if (labels == nullptr || std::ssize(*labels) != head->second.shape[0])
      return fail(ErrorCode::kParse, "'bert.classifier.output_labels': expected {} names",
                  head->second.shape[0]);
    c.labels = *labels;
    return {};
  }
  for (int64_t i = 0; i < head->second.shape[0]; ++i) c.labels.push_back(fmt::format("LABEL_{}", i));
  return {};
}

// llama.cpp keeps the encoder, and of heads the one for labels of a text: "cls" is its pooler.
Status read_gguf(const GgufFile& file, ModelConfig& c) {
  const auto causal = file.metadata().find("bert.attention.causal");
  if (causal != file.metadata().end() && causal->second == GgufValue(true))
    return fail(ErrorCode::kUnsupported, "'bert.attention.causal': true is not supported");
  c.output = ModelOutput::kHidden;
  c.tie_word_embeddings = true;
  const auto types = file.tensors().find("token_types.weight");
  if (types == file.tensors().end() || types->second.shape.size() != 2)
    return fail(ErrorCode::kParse, "tensor 'token_types.weight' with two dimensions is missing");
  if (file.tensors().contains("cls.output.weight")) TRY(read_gguf_labels(file, c));
  const std::string pooling = "bert.pooling_type";
  c.own = BertFields{.layer_norm_eps = TRY(file.get_number("bert.attention.layer_norm_epsilon")),
                     .type_vocab_size = types->second.shape[0],
                     .pooler = file.tensors().contains("cls.weight"),
                     .gguf_pooling = file.contains(pooling) ? TRY(file.get_int(pooling)) : 0};
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  using Type = GgufField::Type;
  const auto& own = std::get<BertFields>(c.own);
  std::vector<GgufField> fields{
      {"bert.attention.layer_norm_epsilon", Type::kF32, own.layer_norm_eps},
      {"bert.attention.causal", Type::kBool, false},
      {"tokenizer.ggml.token_type_count", Type::kU32, static_cast<uint64_t>(own.type_vocab_size)}};
  if (c.output == ModelOutput::kLabels) {
    fields.push_back({"bert.pooling_type", Type::kU32, static_cast<uint64_t>(kScore)});
    fields.push_back({"bert.classifier.output_labels", Type::kString, c.labels, true});
  }
  return fields;
}

Status check_gguf(const ModelConfig& c) {
  if (c.architecture != "BertModel" && c.architecture != "BertForSequenceClassification")
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold the head of a {}: export a Hugging Face folder",
                c.architecture);
  if (std::get<BertFields>(c.own).tanh_gelu)
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold a BERT with the tanh formula of gelu");
  return {};
}

constexpr GgufName kTop[] = {{"embeddings.word_embeddings.weight", "token_embd.weight"},
                             {"embeddings.position_embeddings.weight", "position_embd.weight"},
                             {"embeddings.token_type_embeddings.weight", "token_types.weight"},
                             {"embeddings.LayerNorm.weight", "token_embd_norm.weight"},
                             {"embeddings.LayerNorm.bias", "token_embd_norm.bias"}};
constexpr GgufName kLayer[] = {{"attention.self.query", "attn_q"},
                               {"attention.self.key", "attn_k"},
                               {"attention.self.value", "attn_v"},
                               {"attention.output.dense", "attn_output"},
                               {"attention.output.LayerNorm", "attn_output_norm"},
                               {"intermediate.dense", "ffn_up"},
                               {"output.dense", "ffn_down"},
                               {"output.LayerNorm", "layer_output_norm"}};
constexpr GgufName kHead[] = {{"pooler.dense", "cls"}, {"classifier", "cls.output"}};

GgufRule gguf_rule(const ModelConfig&, const std::string& full_name) {
  constexpr std::string_view kRoot = "bert.";
  const std::string name = full_name.starts_with(kRoot) ? full_name.substr(kRoot.size()) : full_name;
  for (const GgufName& pair : kTop)
    if (name == pair.hugging_face) return {.name = std::string(pair.gguf)};
  const size_t dot = name.rfind('.');  // "weight" and "bias" have the same names
  if (dot == std::string::npos) return {};
  const std::string stem = gguf_name_of(name.substr(0, dot), kHead, kLayer, "encoder.layer.");
  return {.name = stem.empty() ? "" : stem + name.substr(dot)};
}

// Old files call the norms' numbers gamma and beta.
std::string canonical_name(const std::string& name) {
  const auto renamed = [&](std::string_view old, const char* now) {
    return name.substr(0, name.size() - old.size()) + now;
  };
  if (name.ends_with(".LayerNorm.gamma")) return renamed("gamma", "weight");
  if (name.ends_with(".LayerNorm.beta")) return renamed("beta", "bias");
  return name;
}

// Buffers, the head for the next sentence, copies of tied tensors, and a pooler that this head does not use.
bool may_be_left_over(const std::string& name) {
  return name.ends_with("embeddings.position_ids") || name.starts_with("cls.seq_relationship.") ||
         name.starts_with("cls.predictions.decoder.") || name.starts_with("bert.pooler.");
}

void look_at_tensors(ModelConfig& c, const std::function<bool(const std::string&)>& has) {
  if (c.output == ModelOutput::kHidden) std::get<BertFields>(c.own).pooler = has("pooler.dense.weight");
}

}  // namespace

const ModelFamily kBertFamily = {.model_type = "bert",
                                 .gguf_architecture = "bert",
                                 .architectures = {"BertModel", "BertForSequenceClassification",
                                                   "BertForTokenClassification", "BertForMaskedLM"},
                                 .read_json = read_json,
                                 .write_json = write_json,
                                 .read_gguf = read_gguf,
                                 .gguf_fields = gguf_fields,
                                 .gguf_rule = gguf_rule,
                                 .canonical_name = canonical_name,
                                 .may_be_left_over = may_be_left_over,
                                 .check_gguf = check_gguf,
                                 .has_learned_positions = true,
                                 .look_at_tensors = look_at_tensors};

}  // namespace volant
