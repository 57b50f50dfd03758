#include "models/decoder_family.h"

namespace volant {
namespace {

constexpr int64_t kMaxWindow = 1 << 30;

constexpr GgufName kTop[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                             {"model.norm.weight", "output_norm.weight"},
                             {"lm_head.weight", "output.weight"}};
constexpr GgufName kLayer[] = {{"input_layernorm.weight", "attn_norm.weight"},
                               {"self_attn.q_proj.weight", "attn_q.weight"},
                               {"self_attn.k_proj.weight", "attn_k.weight"},
                               {"self_attn.v_proj.weight", "attn_v.weight"},
                               {"self_attn.o_proj.weight", "attn_output.weight"},
                               {"self_attn.qkv_proj.weight", "attn_qkv.weight"},
                               {"self_attn.q_proj.bias", "attn_q.bias"},
                               {"self_attn.k_proj.bias", "attn_k.bias"},
                               {"self_attn.v_proj.bias", "attn_v.bias"},
                               {"self_attn.o_proj.bias", "attn_output.bias"},
                               {"self_attn.q_norm.weight", "attn_q_norm.weight"},
                               {"self_attn.k_norm.weight", "attn_k_norm.weight"},
                               {"post_attention_layernorm.weight", "ffn_norm.weight"},
                               {"mlp.gate_proj.weight", "ffn_gate.weight"},
                               {"mlp.up_proj.weight", "ffn_up.weight"},
                               {"mlp.gate_up_proj.weight", "ffn_up.weight"},
                               {"mlp.down_proj.weight", "ffn_down.weight"},
                               {"mlp.gate_proj.bias", "ffn_gate.bias"},
                               {"mlp.up_proj.bias", "ffn_up.bias"},
                               {"mlp.down_proj.bias", "ffn_down.bias"}};

Status check_window(int64_t window) {
  if (window >= 1 && window <= kMaxWindow) return {};
  return fail(ErrorCode::kParse, "'sliding_window' is {}, expected 1 to {}", window, kMaxWindow);
}

}  // namespace

Result<int64_t> read_sliding_window(const Json& json) {
  if (json_find(json, "sliding_window") == nullptr) return 0;
  const int64_t window = TRY(json_int(json, "sliding_window"));
  TRY(check_window(window));
  return window;
}

Result<int64_t> read_sliding_window(const GgufFile& file, const std::string& architecture) {
  const std::string key = architecture + ".attention.sliding_window";
  const int64_t window = file.contains(key) ? TRY(file.get_int(key)) : 0;
  if (window != 0) TRY(check_window(window));
  return window;
}

void add_sliding_window(int64_t window, const std::string& architecture, std::vector<GgufField>& fields) {
  if (window > 0)
    fields.push_back(
        {architecture + ".attention.sliding_window", GgufField::Type::kU32, static_cast<uint64_t>(window)});
}

Status check_layer_types(const Json& json, int64_t n_layer, bool (*is_window)(int64_t layer)) {
  const Json* types = json_find(json, "layer_types");
  if (types == nullptr) return {};
  if (!types->is_array() || std::cmp_not_equal(types->as_array().size(), n_layer))
    return fail(ErrorCode::kParse, "'layer_types': expected a list of {} words", n_layer);
  for (int64_t i = 0; i < n_layer; ++i) {
    const Json& type = types->as_array()[static_cast<size_t>(i)];
    const char* expected = is_window(i) ? "sliding_attention" : "full_attention";
    if (!type.is_string() || type.as_string() != expected)
      return fail(ErrorCode::kUnsupported, "'layer_types': layer {} is {}, supported is {}", i,
                  dump_json(type), expected);
  }
  return {};
}

Status check_qwen_json(const Json& json, const ModelConfig& config) {
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_bool(json, "use_sliding_window", false));
  return check_layer_types(json, config.num_hidden_layers, [](int64_t) { return false; });
}

void write_qwen_json(const ModelConfig& config, JsonObject& json) {
  json["hidden_act"] = "silu";
  json["use_sliding_window"] = false;
  json["sliding_window"] = nullptr;
  json["max_window_layers"] = config.num_hidden_layers;
}

std::string decoder_gguf_name(const std::string& name) {
  return gguf_name_of(name, kTop, kLayer, "model.layers.");
}

Status check_no_rope_tensor(const ModelConfig& c) {
  if (c.rope() == nullptr || c.rope()->factors(c.head_dim).empty()) return {};
  return fail(ErrorCode::kUnsupported, "GGUF cannot hold rope scaling of type llama3 for {}", c.architecture);
}

GgufRule decoder_gguf_rule(const ModelConfig& /*config*/, const std::string& name) {
  return {.name = decoder_gguf_name(name)};
}

GgufRule llama_gguf_rule(const ModelConfig& c, const std::string& name) {
  GgufRule rule = decoder_gguf_rule(c, name);
  const bool q = name.find(".q_proj.") != std::string::npos, k = name.find(".k_proj.") != std::string::npos;
  if (q || k) {
    rule.layout = GgufRule::Layout::kInterleavedHeads;
    rule.count = q ? c.num_attention_heads : c.num_key_value_heads;
  }
  return rule;
}

bool is_rope_buffer(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace volant
