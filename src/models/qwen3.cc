// Qwen3's configuration and GGUF layout; the model itself is in qwen3.h.
#include "models/decoder_family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(check_qwen_json(json, c));
  TRY(expect_bool(json, "attention_bias", false));
  if (c.head_dim == 0) c.head_dim = 128;  // of a configuration that leaves it out
  Qwen3Fields own;
  TRY(read_decoder_json(json, own));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  write_qwen_json(c, json);
  json["attention_bias"] = false;
  write_decoder_json(std::get<Qwen3Fields>(c.own), json);
}

}  // namespace

const ModelFamily kQwen3Family = {.model_type = "qwen3",
                                  .gguf_architecture = "qwen3",
                                  .architectures = {"Qwen3ForCausalLM"},
                                  .read_json = read_json,
                                  .write_json = write_json,
                                  .read_gguf = read_plain_gguf<Qwen3Fields>,
                                  .gguf_fields = plain_gguf_fields<Qwen3Fields>,
                                  .gguf_rule = decoder_gguf_rule,
                                  .check_gguf = check_no_rope_tensor};

}  // namespace volant
