// The configurations of Gemma 2 and Gemma 3 (text) and their GGUF layout; the models themselves are in
// gemma.h.
#include <cmath>

#include "models/decoder_family.h"

namespace volant {
namespace {

constexpr int64_t kLargeGemma2Layers = 46, kLargeGemma3Layers = 62;  // the 27 B models

template <class Fields>
bool is_window(int64_t layer) {
  return (layer + 1) % Fields::kGlobalEvery != 0;
}

// What GGUF has no key for: llama.cpp takes it from the size of the model.
template <class Fields>
double gguf_query_scalar(const ModelConfig& c) {
  const int64_t large = Fields::kHasHeadNorms ? kLargeGemma3Layers : kLargeGemma2Layers;
  return static_cast<double>(c.num_hidden_layers == large ? c.hidden_size / c.num_attention_heads
                                                          : c.head_dim);
}

Result<double> read_softcap(const Json& json, const char* name, double otherwise) {
  const auto fields = json.is_object() ? json.as_object().find(name) : nullptr;
  if (fields != nullptr && fields != json.as_object().end() && fields->value().is_null()) return 0.0;
  const double cap = TRY(json_number_or(json, name, otherwise));
  if (cap > 0 && std::isfinite(cap)) return cap;
  if (cap == 0 && otherwise == 0) return 0.0;
  return fail(ErrorCode::kParse, "'{}' is {}, expected a positive number or null", name, cap);
}

template <class Fields>
Status read_common(const Json& json, ModelConfig& c, Fields& own) {
  TRY(expect_word(json, "hidden_activation", "gelu_pytorch_tanh"));
  TRY(expect_bool(json, "attention_bias", false));
  TRY(expect_bool(json, "use_bidirectional_attention", false));
  TRY(check_layer_types(json, c.num_hidden_layers, is_window<Fields>));
  own.rms_norm_eps = TRY(read_eps(json, "rms_norm_eps", own.rms_norm_eps));
  own.query_pre_attn_scalar = TRY(json_number_or(json, "query_pre_attn_scalar", own.query_pre_attn_scalar));
  if (!(own.query_pre_attn_scalar > 0) || !std::isfinite(own.query_pre_attn_scalar))
    return fail(ErrorCode::kParse, "'query_pre_attn_scalar' is {}, expected a positive number",
                own.query_pre_attn_scalar);
  own.attn_logit_softcapping = TRY(read_softcap(json, "attn_logit_softcapping", own.attn_logit_softcapping));
  own.final_logit_softcapping =
      TRY(read_softcap(json, "final_logit_softcapping", own.final_logit_softcapping));
  own.sliding_window = TRY(read_sliding_window(json));
  if (c.head_dim == 0) c.head_dim = 256;  // of a configuration that leaves it out
  c.tie_word_embeddings = TRY(json_bool_or(json, "tie_word_embeddings", true));
  if (!c.tie_word_embeddings)
    return fail(ErrorCode::kUnsupported, "'tie_word_embeddings': false is not supported");
  return {};
}

Status read_gemma2(const Json& json, ModelConfig& c) {
  Gemma2Fields own;
  TRY(read_common(json, c, own));
  own.rope = TRY(RopeConfig::from_json(json));
  c.own = own;
  return {};
}

// transformers 5: "rope_parameters": {"full_attention": {...}, "sliding_attention": {...}}.
Status read_layered_rope(const Json& parameters, int64_t max_positions, Gemma3Fields& own) {
  const Json *full = json_find(parameters, "full_attention"),
             *local = json_find(parameters, "sliding_attention");
  if (full == nullptr || local == nullptr)
    return fail(ErrorCode::kParse, "'rope_parameters': expected 'full_attention' and 'sliding_attention'");
  own.rope.theta = TRY(json_number_or(*full, "rope_theta", own.rope.theta));
  own.rope.scaling = TRY(RopeConfig::read_scaling(*full, max_positions));
  own.local_rope.theta = TRY(json_number_or(*local, "rope_theta", own.local_rope.theta));
  if (TRY(RopeConfig::read_scaling(*local, max_positions)))
    return fail(ErrorCode::kUnsupported,
                "'rope_parameters': scaling of 'sliding_attention' is not supported");
  return {};
}

Status read_gemma3(const Json& json, ModelConfig& c) {
  Gemma3Fields own;
  TRY(read_common(json, c, own));
  for (const char* name : {"sliding_window_pattern", "_sliding_window_pattern"})
    if (TRY(json_int_or(json, name, Gemma3Fields::kGlobalEvery)) != Gemma3Fields::kGlobalEvery)
      return fail(ErrorCode::kUnsupported, "'{}' other than {} is not supported", name,
                  Gemma3Fields::kGlobalEvery);
  own.rope.theta = 1e6;
  if (const Json* parameters = json_find(json, "rope_parameters"); parameters != nullptr) {
    TRY(read_layered_rope(*parameters, c.max_position_embeddings, own));
  } else {
    own.rope.theta = TRY(json_number_or(json, "rope_theta", own.rope.theta));
    own.local_rope.theta = TRY(json_number_or(json, "rope_local_base_freq", own.local_rope.theta));
    if (const Json* scaling = json_find(json, "rope_scaling"); scaling != nullptr)
      own.rope.scaling = TRY(RopeConfig::read_scaling(*scaling, c.max_position_embeddings));
  }
  for (const double theta : {own.rope.theta, own.local_rope.theta})
    if (!(theta > 0) || !std::isfinite(theta))
      return fail(ErrorCode::kParse, "'rope_theta' is {}, expected a positive number", theta);
  c.own = own;
  return {};
}

template <class Fields>
void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<Fields>(c.own);
  const auto number_or_null = [](double x) { return x > 0 ? Json(x) : Json(nullptr); };
  json["hidden_activation"] = "gelu_pytorch_tanh";
  json["attention_bias"] = false;
  json["query_pre_attn_scalar"] = own.query_pre_attn_scalar;
  json["attn_logit_softcapping"] = number_or_null(own.attn_logit_softcapping);
  json["final_logit_softcapping"] = number_or_null(own.final_logit_softcapping);
  json["sliding_window"] = own.sliding_window > 0 ? Json(own.sliding_window) : Json(nullptr);
  JsonArray types;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i)
    types.push_back(is_window<Fields>(i) ? "sliding_attention" : "full_attention");
  json["layer_types"] = std::move(types);
  write_decoder_json(own, json);
  if constexpr (std::is_same_v<Fields, Gemma3Fields>) {
    json["rope_local_base_freq"] = own.local_rope.theta;
    json["sliding_window_pattern"] = Fields::kGlobalEvery;
  }
}

template <class Fields>
Status read_gguf(const GgufFile& file, ModelConfig& c) {
  const std::string architecture = c.family->gguf_architecture;
  Fields own;
  TRY(read_decoder_gguf(file, architecture, c.head_dim, own));
  if (file.contains(architecture + ".rope.freq_base") == false)
    own.rope.theta = Fields::kHasHeadNorms ? 1e6 : 1e4;
  own.query_pre_attn_scalar = gguf_query_scalar<Fields>(c);
  own.sliding_window = TRY(read_sliding_window(file, architecture));
  const auto cap = [&](const char* name, double otherwise) -> Result<double> {
    const std::string key = architecture + "." + name;
    return file.contains(key) ? file.get_number(key) : Result<double>(otherwise);
  };
  own.attn_logit_softcapping = TRY(cap("attn_logit_softcapping", own.attn_logit_softcapping));
  own.final_logit_softcapping = TRY(cap("final_logit_softcapping", own.final_logit_softcapping));
  if (!(own.attn_logit_softcapping >= 0) || !(own.final_logit_softcapping >= 0))
    return fail(ErrorCode::kParse, "softcapping: expected positive numbers");
  const std::string local = architecture + ".rope.freq_base_swa";
  if constexpr (std::is_same_v<Fields, Gemma3Fields>)
    if (file.contains(local)) own.local_rope.theta = TRY(file.get_number(local));
  c.own = own;
  return {};
}

template <class Fields>
std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  using Type = GgufField::Type;
  const std::string architecture = c.family->gguf_architecture;
  const auto& own = std::get<Fields>(c.own);
  std::vector<GgufField> fields = decoder_gguf_fields(own, architecture, c.head_dim);
  add_sliding_window(own.sliding_window, architecture, fields);
  const auto cap = [&](const char* name, double value) {
    if (value > 0) fields.push_back({architecture + "." + name, Type::kF32, value});
  };
  cap("attn_logit_softcapping", own.attn_logit_softcapping);
  cap("final_logit_softcapping", own.final_logit_softcapping);
  if constexpr (std::is_same_v<Fields, Gemma3Fields>)
    fields.push_back({architecture + ".rope.freq_base_swa", Type::kF32, own.local_rope.theta});
  return fields;
}

// GGUF cannot say everything that config.json can.
template <class Fields>
Status check_gguf(const ModelConfig& c) {
  const auto& own = std::get<Fields>(c.own);
  if (own.query_pre_attn_scalar != gguf_query_scalar<Fields>(c))
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold 'query_pre_attn_scalar' {}: llama.cpp takes {}",
                own.query_pre_attn_scalar, gguf_query_scalar<Fields>(c));
  if (own.sliding_window == 0)
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold a Gemma without 'sliding_window'");
  const bool no_cap = own.attn_logit_softcapping == 0 || own.final_logit_softcapping == 0;
  if (!Fields::kHasHeadNorms && no_cap)
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold a Gemma 2 without softcapping");
  if (Fields::kHasHeadNorms && own.attn_logit_softcapping != 0)
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold a Gemma 3 with 'attn_logit_softcapping'");
  return check_no_rope_tensor(c);
}

GgufRule gguf_rule(const ModelConfig& c, const std::string& name) {
  constexpr GgufName kNorms[] = {{"post_attention_layernorm.weight", "post_attention_norm.weight"},
                                 {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
                                 {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"}};
  GgufRule rule{.name = gguf_name_of(name, {}, kNorms, "model.layers.")};
  if (rule.name.empty()) rule = decoder_gguf_rule(c, name);
  if (name.ends_with("norm.weight")) rule.layout = GgufRule::Layout::kPlusOne;
  return rule;
}

}  // namespace

const ModelFamily kGemma2Family = {.model_type = "gemma2",
                                   .gguf_architecture = "gemma2",
                                   .architectures = {"Gemma2ForCausalLM"},
                                   .read_json = read_gemma2,
                                   .write_json = write_json<Gemma2Fields>,
                                   .read_gguf = read_gguf<Gemma2Fields>,
                                   .gguf_fields = gguf_fields<Gemma2Fields>,
                                   .gguf_rule = gguf_rule,
                                   .check_gguf = check_gguf<Gemma2Fields>};

const ModelFamily kGemma3Family = {.model_type = "gemma3_text",
                                   .gguf_architecture = "gemma3",
                                   .architectures = {"Gemma3ForCausalLM"},
                                   .read_json = read_gemma3,
                                   .write_json = write_json<Gemma3Fields>,
                                   .read_gguf = read_gguf<Gemma3Fields>,
                                   .gguf_fields = gguf_fields<Gemma3Fields>,
                                   .gguf_rule = gguf_rule,
                                   .check_gguf = check_gguf<Gemma3Fields>};

}  // namespace volant
