// Mistral's configuration; in GGUF it is a "llama", and one with a sliding window has a key for it, which
// llama.cpp passes over: beyond the window the two differ. The model itself is in mistral.h.
#include "models/decoder_family.h"

namespace volant {
namespace {

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_bool(json, "attention_bias", false));
  MistralFields own;
  TRY(read_decoder_json(json, own));
  own.sliding_window = TRY(read_sliding_window(json));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<MistralFields>(c.own);
  json["hidden_act"] = "silu";
  json["sliding_window"] = own.sliding_window > 0 ? Json(own.sliding_window) : Json(nullptr);
  write_decoder_json(own, json);
}

bool is_gguf_of(const GgufFile& file) {
  const Result<int64_t> window = read_sliding_window(file, "llama");
  return window && *window > 0;
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  MistralFields own;
  TRY(read_decoder_gguf(file, "llama", c.head_dim, own));
  own.sliding_window = TRY(read_sliding_window(file, "llama"));
  c.own = own;
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  const auto& own = std::get<MistralFields>(c.own);
  std::vector<GgufField> fields = decoder_gguf_fields(own, "llama", c.head_dim);
  add_sliding_window(own.sliding_window, "llama", fields);
  return fields;
}

}  // namespace

const ModelFamily kMistralFamily = {.model_type = "mistral",
                                    .gguf_architecture = "llama",
                                    .architectures = {"MistralForCausalLM"},
                                    .read_json = read_json,
                                    .write_json = write_json,
                                    .read_gguf = read_gguf,
                                    .gguf_fields = gguf_fields,
                                    .gguf_rule = llama_gguf_rule,
                                    .is_gguf_of = is_gguf_of};

}  // namespace volant
