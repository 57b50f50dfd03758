// Qwen2's configuration and GGUF layout; the model itself is in qwen2.h.
#include "models/decoder_family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(check_qwen_json(json, c));
  Qwen2Fields own;
  TRY(read_decoder_json(json, own));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  write_qwen_json(c, json);
  write_decoder_json(std::get<Qwen2Fields>(c.own), json);
}

}  // namespace

const ModelFamily kQwen2Family = {.model_type = "qwen2",
                                  .gguf_architecture = "qwen2",
                                  .architectures = {"Qwen2ForCausalLM"},
                                  .read_json = read_json,
                                  .write_json = write_json,
                                  .read_gguf = read_plain_gguf<Qwen2Fields>,
                                  .gguf_fields = plain_gguf_fields<Qwen2Fields>,
                                  .gguf_rule = decoder_gguf_rule,
                                  .check_gguf = check_no_rope_tensor};

}  // namespace volant
