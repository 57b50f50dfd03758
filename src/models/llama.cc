// Llama's configuration and GGUF layout; the model itself is in llama.h.
#include "models/family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_bool(json, "attention_bias", false));
  TRY(expect_bool(json, "mlp_bias", false));
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_absent(json, "sliding_window"));
  if (TRY(json_number_or(json, "partial_rotary_factor", 1)) != 1)
    return fail(ErrorCode::kUnsupported, "'partial_rotary_factor' other than 1 is not supported");
  c.own = LlamaFields{.rms_norm_eps = TRY(read_eps(json, "rms_norm_eps", 1e-6)),
                      .rope = TRY(RopeConfig::from_json(json))};
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<LlamaFields>(c.own);
  json["hidden_act"] = "silu";
  json["attention_bias"] = false;
  json["mlp_bias"] = false;
  json["rms_norm_eps"] = own.rms_norm_eps;
  own.rope.write(json);
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  if (file.contains("llama.expert_count") && TRY(file.get_int("llama.expert_count")) != 0)
    return fail(ErrorCode::kUnsupported, "'llama.expert_count': experts are not supported");
  c.own = LlamaFields{.rms_norm_eps = TRY(file.get_number("llama.attention.layer_norm_rms_epsilon")),
                      .rope = TRY(RopeConfig::from_gguf(file, "llama", c.head_dim))};
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  using Type = GgufField::Type;
  const auto& own = std::get<LlamaFields>(c.own);
  return {{"llama.attention.layer_norm_rms_epsilon", Type::kF32, own.rms_norm_eps},
          {"llama.rope.dimension_count", Type::kU32, static_cast<uint64_t>(c.head_dim)},
          {"llama.rope.freq_base", Type::kF32, own.rope.theta}};
}

constexpr GgufName kTop[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                             {"model.norm.weight", "output_norm.weight"},
                             {"lm_head.weight", "output.weight"}};
constexpr GgufName kLayer[] = {
    {"input_layernorm.weight", "attn_norm.weight"},    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},      {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"}, {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},       {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"}};

GgufRule gguf_rule(const ModelConfig& c, const std::string& name) {
  GgufRule rule{.name = gguf_name_of(name, kTop, kLayer, "model.layers.")};
  const bool q = name.ends_with(".q_proj.weight"), k = name.ends_with(".k_proj.weight");
  if (q || k) {
    rule.layout = GgufRule::Layout::kInterleavedHeads;
    rule.count = q ? c.num_attention_heads : c.num_key_value_heads;
  }
  return rule;
}

bool may_be_left_over(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

const ModelFamily kLlamaFamily = {.model_type = "llama",
                                  .gguf_architecture = "llama",
                                  .architectures = {"LlamaForCausalLM"},
                                  .read_json = read_json,
                                  .write_json = write_json,
                                  .read_gguf = read_gguf,
                                  .gguf_fields = gguf_fields,
                                  .gguf_rule = gguf_rule,
                                  .may_be_left_over = may_be_left_over};

}  // namespace volant
