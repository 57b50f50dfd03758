// T5's configuration; the model itself is in t5.h. GGUF is not done: its layout is another one.
#include "models/family.h"

namespace volant {
namespace {

// Hugging Face names these fields differently from other models.
Status read_json(const Json& json, ModelConfig& c) {
  c.hidden_size = TRY(json_int_or(json, "d_model", 0));
  c.intermediate_size = TRY(json_int_or(json, "d_ff", 0));
  c.num_hidden_layers = TRY(json_int_or(json, "num_layers", 0));
  c.num_attention_heads = c.num_key_value_heads = TRY(json_int_or(json, "num_heads", 0));
  c.head_dim = TRY(json_int_or(json, "d_kv", 64));
  c.max_position_embeddings = TRY(json_int_or(json, "n_positions", 512));
  if (json_find(json, "tie_word_embeddings") == nullptr) c.tie_word_embeddings = true;  // of this family
  const std::string act = TRY(json_string_or(json, "feed_forward_proj", "relu"));
  if (act != "relu" && act != "gated-gelu")
    return fail(ErrorCode::kUnsupported,
                "'feed_forward_proj': '{}' is not supported: supported are relu and gated-gelu", act);
  T5Fields own{
      .num_decoder_layers = TRY(json_int_or(json, "num_decoder_layers", c.num_hidden_layers)),
      .relative_attention_num_buckets = TRY(json_int_or(json, "relative_attention_num_buckets", 32)),
      .relative_attention_max_distance = TRY(json_int_or(json, "relative_attention_max_distance", 128)),
      .layer_norm_epsilon = TRY(read_eps(json, "layer_norm_epsilon", 1e-6)),
      .gated_gelu = act == "gated-gelu",
      .decoder_start_token_id = TRY(json_int_or(json, "decoder_start_token_id", 0))};
  TRY(check_range("num_decoder_layers", own.num_decoder_layers, 1024));
  TRY(check_range("relative_attention_num_buckets", own.relative_attention_num_buckets, 1 << 12));
  TRY(check_range("relative_attention_max_distance", own.relative_attention_max_distance, 1 << 20));
  if (own.relative_attention_num_buckets % 4 != 0 ||
      own.relative_attention_max_distance <= own.relative_attention_num_buckets / 2)
    return fail(ErrorCode::kParse,
                "'relative_attention_num_buckets' is {} and 'relative_attention_max_distance' {}: expected a "
                "multiple of 4 and more than half as much",
                own.relative_attention_num_buckets, own.relative_attention_max_distance);
  if (own.decoder_start_token_id < 0 || own.decoder_start_token_id >= c.vocab_size)
    return fail(ErrorCode::kParse, "'decoder_start_token_id' is {}, expected 0 to {}",
                own.decoder_start_token_id, c.vocab_size - 1);
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<T5Fields>(c.own);
  for (const char* name : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                           "num_key_value_heads", "head_dim", "max_position_embeddings", "initializer_range"})
    json.erase(name);
  json["d_model"] = c.hidden_size;
  json["d_ff"] = c.intermediate_size;
  json["d_kv"] = c.head_dim;
  json["num_layers"] = c.num_hidden_layers;
  json["num_decoder_layers"] = own.num_decoder_layers;
  json["num_heads"] = c.num_attention_heads;
  json["n_positions"] = c.max_position_embeddings;
  json["relative_attention_num_buckets"] = own.relative_attention_num_buckets;
  json["relative_attention_max_distance"] = own.relative_attention_max_distance;
  json["layer_norm_epsilon"] = own.layer_norm_epsilon;
  json["feed_forward_proj"] = own.gated_gelu ? "gated-gelu" : "relu";
  json["is_encoder_decoder"] = true;
  json["decoder_start_token_id"] = own.decoder_start_token_id;
}

// Copies of the shared embedding, and a bias that early files hold and no layer uses.
bool may_be_left_over(const std::string& name) {
  return name == "encoder.embed_tokens.weight" || name == "decoder.embed_tokens.weight" ||
         name.ends_with("EncDecAttention.relative_attention_bias.weight");
}

}  // namespace

const ModelFamily kT5Family = {.model_type = "t5",
                               .gguf_architecture = "",
                               .architectures = {"T5ForConditionalGeneration"},
                               .read_json = read_json,
                               .write_json = write_json,
                               .read_gguf = [](const GgufFile&, ModelConfig&) -> Status {
                                 return fail(ErrorCode::kUnsupported, "a T5 in GGUF is not supported");
                               },
                               .gguf_fields = [](const ModelConfig&) { return std::vector<GgufField>(); },
                               .gguf_rule = [](const ModelConfig&, const std::string&) { return GgufRule(); },
                               .may_be_left_over = may_be_left_over};

}  // namespace volant
