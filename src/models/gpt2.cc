// GPT-2's configuration, the names of its files, and its GGUF layout; the model itself is in gpt2.h.
#include "models/family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  c.hidden_size = TRY(json_int_or(json, "n_embd", 768));
  c.num_hidden_layers = TRY(json_int_or(json, "n_layer", 12));
  c.num_attention_heads = TRY(json_int_or(json, "n_head", 12));
  c.num_key_value_heads = c.num_attention_heads;
  c.max_position_embeddings = TRY(json_int_or(json, "n_positions", 1024));
  const Json* inner = json_find(json, "n_inner");
  c.intermediate_size = inner == nullptr ? 4 * c.hidden_size : TRY(json_int(json, "n_inner"));
  c.tie_word_embeddings = TRY(json_bool_or(json, "tie_word_embeddings", true));
  TRY(check_range("n_embd", c.hidden_size, 1 << 17));
  TRY(check_range("n_head", c.num_attention_heads, 1024));
  if (c.hidden_size % c.num_attention_heads != 0)
    return fail(ErrorCode::kParse, "'n_embd' is {}, expected a multiple of 'n_head', {}", c.hidden_size,
                c.num_attention_heads);
  c.head_dim = c.hidden_size / c.num_attention_heads;
  const std::string act = TRY(json_string_or(json, "activation_function", "gelu_new"));
  if (act != "gelu_new" && act != "gelu_pytorch_tanh")
    return fail(ErrorCode::kUnsupported,
                "'activation_function': '{}' is not supported: supported is gelu_new", act);
  TRY(expect_bool(json, "scale_attn_weights", true));
  TRY(expect_bool(json, "scale_attn_by_inverse_layer_idx", false));
  TRY(expect_bool(json, "add_cross_attention", false));
  c.own = Gpt2Fields{.layer_norm_epsilon = TRY(read_eps(json, "layer_norm_epsilon", 1e-5))};
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  for (const char* name : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                           "num_key_value_heads", "head_dim", "max_position_embeddings"})
    json.erase(name);
  json["n_embd"] = c.hidden_size;
  json["n_layer"] = c.num_hidden_layers;
  json["n_head"] = c.num_attention_heads;
  json["n_positions"] = c.max_position_embeddings;
  json["n_ctx"] = c.max_position_embeddings;
  json["n_inner"] = c.intermediate_size;
  json["activation_function"] = "gelu_new";
  json["layer_norm_epsilon"] = std::get<Gpt2Fields>(c.own).layer_norm_epsilon;
  json["scale_attn_weights"] = true;
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  if (c.num_key_value_heads != c.num_attention_heads || c.head_dim * c.num_attention_heads != c.hidden_size)
    return fail(ErrorCode::kUnsupported, "'gpt2.attention': expected {} heads over {} numbers for keys too",
                c.num_attention_heads, c.hidden_size);
  c.own = Gpt2Fields{.layer_norm_epsilon = TRY(file.get_number("gpt2.attention.layer_norm_epsilon"))};
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  return {{"gpt2.attention.layer_norm_epsilon", GgufField::Type::kF32,
           std::get<Gpt2Fields>(c.own).layer_norm_epsilon}};
}

GgufRule gguf_rule(const ModelConfig& /*config*/, const std::string& name) {
  constexpr GgufName kTop[] = {{"transformer.wte.weight", "token_embd.weight"},
                               {"transformer.wpe.weight", "position_embd.weight"},
                               {"transformer.ln_f.weight", "output_norm.weight"},
                               {"transformer.ln_f.bias", "output_norm.bias"},
                               {"lm_head.weight", "output.weight"}};
  constexpr GgufName kLayer[] = {
      {"ln_1.weight", "attn_norm.weight"},          {"ln_1.bias", "attn_norm.bias"},
      {"attn.c_attn.weight", "attn_qkv.weight"},    {"attn.c_attn.bias", "attn_qkv.bias"},
      {"attn.c_proj.weight", "attn_output.weight"}, {"attn.c_proj.bias", "attn_output.bias"},
      {"ln_2.weight", "ffn_norm.weight"},           {"ln_2.bias", "ffn_norm.bias"},
      {"mlp.c_fc.weight", "ffn_up.weight"},         {"mlp.c_fc.bias", "ffn_up.bias"},
      {"mlp.c_proj.weight", "ffn_down.weight"},     {"mlp.c_proj.bias", "ffn_down.bias"}};
  return {.name = gguf_name_of(name, kTop, kLayer, "transformer.h.")};
}

// Files on the hub leave out the prefix.
std::string canonical_name(const std::string& name) {
  const bool bare = name.starts_with("h.") || name.starts_with("wte.") || name.starts_with("wpe.") ||
                    name.starts_with("ln_f.");
  return bare ? "transformer." + name : name;
}

// The causal mask, which older files hold in every layer.
bool may_be_left_over(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

}  // namespace

const ModelFamily kGpt2Family = {.model_type = "gpt2",
                                 .gguf_architecture = "gpt2",
                                 .architectures = {"GPT2LMHeadModel"},
                                 .read_json = read_json,
                                 .write_json = write_json,
                                 .read_gguf = read_gguf,
                                 .gguf_fields = gguf_fields,
                                 .gguf_rule = gguf_rule,
                                 .canonical_name = canonical_name,
                                 .may_be_left_over = may_be_left_over,
                                 .has_learned_positions = true};

}  // namespace volant
