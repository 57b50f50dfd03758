// Qwen2's configuration and GGUF layout; the model itself is in qwen2.h.
#include "models/decoder_family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_bool(json, "use_sliding_window", false));
  TRY(check_layer_types(json, c.num_hidden_layers, [](int64_t) { return false; }));
  Qwen2Fields own;
  TRY(read_decoder_json(json, own));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  json["hidden_act"] = "silu";
  json["use_sliding_window"] = false;
  json["sliding_window"] = nullptr;
  json["max_window_layers"] = c.num_hidden_layers;
  write_decoder_json(std::get<Qwen2Fields>(c.own), json);
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  Qwen2Fields own;
  TRY(read_decoder_gguf(file, "qwen2", c.head_dim, own));
  c.own = own;
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  return decoder_gguf_fields(std::get<Qwen2Fields>(c.own), "qwen2", c.head_dim);
}

}  // namespace

const ModelFamily kQwen2Family = {.model_type = "qwen2",
                                  .gguf_architecture = "qwen2",
                                  .architectures = {"Qwen2ForCausalLM"},
                                  .read_json = read_json,
                                  .write_json = write_json,
                                  .read_gguf = read_gguf,
                                  .gguf_fields = gguf_fields,
                                  .gguf_rule = decoder_gguf_rule,
                                  .check_gguf = check_no_rope_tensor};

}  // namespace volant
