// Llama's configuration and GGUF layout; the model itself is in llama.h.
#include "models/decoder_family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_absent(json, "sliding_window"));
  if (TRY(json_number_or(json, "partial_rotary_factor", 1)) != 1)
    return fail(ErrorCode::kUnsupported, "'partial_rotary_factor' other than 1 is not supported");
  LlamaFields own;
  TRY(read_decoder_json(json, own));
  own.attention_bias = TRY(json_bool_or(json, "attention_bias", false));
  own.mlp_bias = TRY(json_bool_or(json, "mlp_bias", false));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<LlamaFields>(c.own);
  json["hidden_act"] = "silu";
  json["attention_bias"] = own.attention_bias;
  json["mlp_bias"] = own.mlp_bias;
  write_decoder_json(own, json);
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  if (file.contains("llama.expert_count") && TRY(file.get_int("llama.expert_count")) != 0)
    return fail(ErrorCode::kUnsupported, "'llama.expert_count': experts are not supported");
  LlamaFields own;
  TRY(read_decoder_gguf(file, "llama", c.head_dim, own));
  own.attention_bias = file.tensors().contains("blk.0.attn_q.bias");
  own.mlp_bias = file.tensors().contains("blk.0.ffn_up.bias");
  c.own = own;
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  return decoder_gguf_fields(std::get<LlamaFields>(c.own), "llama", c.head_dim);
}

}  // namespace

const ModelFamily kLlamaFamily = {.model_type = "llama",
                                  .gguf_architecture = "llama",
                                  .architectures = {"LlamaForCausalLM"},
                                  .read_json = read_json,
                                  .write_json = write_json,
                                  .read_gguf = read_gguf,
                                  .gguf_fields = gguf_fields,
                                  .gguf_rule = llama_gguf_rule,
                                  .may_be_left_over = is_rope_buffer};

}  // namespace volant
