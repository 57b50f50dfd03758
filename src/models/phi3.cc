// Phi-3's configuration and GGUF layout; the model itself is in phi3.h.
#include "models/decoder_family.h"

namespace volant {
namespace {

Result<double> check_share(double share, int64_t n_turned) {
  if (share > 0 && share <= 1 && n_turned >= 2 && n_turned % 2 == 0) return share;
  return fail(ErrorCode::kParse,
              "'partial_rotary_factor' is {}, expected a share of the head with an even number of dimensions",
              share);
}

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_bool(json, "attention_bias", false));
  Phi3Fields own;
  TRY(read_decoder_json(json, own));
  if (own.rope.scaling)
    return fail(ErrorCode::kUnsupported,
                "'rope_scaling': scaling of the positions of Phi-3 is not supported");
  own.sliding_window = TRY(read_sliding_window(json));
  const Json* parameters = json_find(json, "rope_parameters");
  own.partial_rotary_factor =
      TRY(json_number_or(parameters != nullptr ? *parameters : json, "partial_rotary_factor", 1));
  if (c.head_dim == 0 && c.num_attention_heads > 0) c.head_dim = c.hidden_size / c.num_attention_heads;
  TRY(check_share(own.partial_rotary_factor, own.n_turned(c.head_dim)));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<Phi3Fields>(c.own);
  json["hidden_act"] = "silu";
  json["attention_bias"] = false;
  // Transformers takes 32000 where none is named, and fails when the vocabulary is smaller.
  if (!c.pad_token_id) json["pad_token_id"] = nullptr;
  json["partial_rotary_factor"] = own.partial_rotary_factor;
  json["original_max_position_embeddings"] = c.max_position_embeddings;
  json["sliding_window"] = own.sliding_window > 0 ? Json(own.sliding_window) : Json(nullptr);
  write_decoder_json(own, json);
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  Phi3Fields own;
  const std::string key = "phi3.rope.dimension_count";
  const int64_t n_turned = file.contains(key) ? TRY(file.get_int(key)) : c.head_dim;
  own.partial_rotary_factor =
      TRY(check_share(static_cast<double>(n_turned) / static_cast<double>(c.head_dim), n_turned));
  TRY(read_decoder_gguf(file, "phi3", n_turned, own));
  if (own.rope.scaling || !own.rope.freq_factors.empty())
    return fail(ErrorCode::kUnsupported, "'phi3.rope': scaling of the positions of Phi-3 is not supported");
  own.sliding_window = TRY(read_sliding_window(file, "phi3"));
  c.own = own;
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  const auto& own = std::get<Phi3Fields>(c.own);
  std::vector<GgufField> fields = decoder_gguf_fields(own, "phi3", own.n_turned(c.head_dim));
  add_sliding_window(own.sliding_window, "phi3", fields);
  return fields;
}

}  // namespace

const ModelFamily kPhi3Family = {.model_type = "phi3",
                                 .gguf_architecture = "phi3",
                                 .architectures = {"Phi3ForCausalLM"},
                                 .read_json = read_json,
                                 .write_json = write_json,
                                 .read_gguf = read_gguf,
                                 .gguf_fields = gguf_fields,
                                 .gguf_rule = decoder_gguf_rule};

}  // namespace volant
