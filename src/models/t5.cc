// T5's configuration and GGUF layout; the model itself is in t5.h.
#include "models/family.h"

namespace volant {
namespace {

constexpr int64_t kGgufMaxDistance = 128;  // GGUF has no key for it

Status check(const ModelConfig& c, const T5Fields& own) {
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
  return {};
}

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
      .decoder_start_token_id = TRY(json_int_or(json, "decoder_start_token_id", 0)),
      .scale_decoder_outputs = TRY(json_bool_or(json, "scale_decoder_outputs", c.tie_word_embeddings))};
  TRY(check(c, own));
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
  json["scale_decoder_outputs"] = own.scale_decoder_outputs;
}

// Transformers 5 saves 'tie_word_embeddings' as true whatever the head is, and tells a v1.1 by its scale.
void look_at_tensors(ModelConfig& c, const std::function<bool(const std::string&)>& has) {
  if (!std::get<T5Fields>(c.own).scale_decoder_outputs && has("lm_head.weight"))
    c.tie_word_embeddings = false;
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  const auto int_or = [&](const char* key, int64_t other) -> Result<int64_t> {
    return file.contains(key) ? file.get_int(key) : Result<int64_t>(other);
  };
  T5Fields own{.num_decoder_layers = TRY(int_or("t5.decoder_block_count", c.num_hidden_layers)),
               .relative_attention_num_buckets = TRY(file.get_int("t5.attention.relative_buckets_count")),
               .relative_attention_max_distance = kGgufMaxDistance,
               .layer_norm_epsilon = TRY(file.get_number("t5.attention.layer_norm_rms_epsilon")),
               .gated_gelu = file.tensors().contains("enc.blk.0.ffn_gate.weight"),
               .decoder_start_token_id = TRY(int_or("t5.decoder_start_token_id", 0)),
               .scale_decoder_outputs = c.tie_word_embeddings};
  TRY(check(c, own));
  c.own = own;
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  using Type = GgufField::Type;
  const auto& own = std::get<T5Fields>(c.own);
  const auto number = [](const char* key, int64_t value) {
    return GgufField{key, Type::kU32, static_cast<uint64_t>(value)};
  };
  return {number("t5.decoder_block_count", own.num_decoder_layers),
          number("t5.decoder_start_token_id", own.decoder_start_token_id),
          number("t5.attention.relative_buckets_count", own.relative_attention_num_buckets),
          {"t5.attention.layer_norm_rms_epsilon", Type::kF32, own.layer_norm_epsilon},
          {"t5.attention.layer_norm_epsilon", Type::kF32, own.layer_norm_epsilon}};
}

constexpr GgufName kTop[] = {{"shared.weight", "token_embd.weight"},
                             {"lm_head.weight", "output.weight"},
                             {"encoder.final_layer_norm.weight", "enc.output_norm.weight"},
                             {"decoder.final_layer_norm.weight", "dec.output_norm.weight"}};
constexpr GgufName kEncoder[] = {
    {"layer.0.SelfAttention.q.weight", "attn_q.weight"},
    {"layer.0.SelfAttention.k.weight", "attn_k.weight"},
    {"layer.0.SelfAttention.v.weight", "attn_v.weight"},
    {"layer.0.SelfAttention.o.weight", "attn_o.weight"},
    {"layer.0.SelfAttention.relative_attention_bias.weight", "attn_rel_b.weight"},
    {"layer.0.layer_norm.weight", "attn_norm.weight"},
    {"layer.1.DenseReluDense.wi.weight", "ffn_up.weight"},
    {"layer.1.DenseReluDense.wi_0.weight", "ffn_gate.weight"},
    {"layer.1.DenseReluDense.wi_1.weight", "ffn_up.weight"},
    {"layer.1.DenseReluDense.wo.weight", "ffn_down.weight"},
    {"layer.1.layer_norm.weight", "ffn_norm.weight"}};
constexpr GgufName kDecoder[] = {
    {"layer.0.SelfAttention.q.weight", "attn_q.weight"},
    {"layer.0.SelfAttention.k.weight", "attn_k.weight"},
    {"layer.0.SelfAttention.v.weight", "attn_v.weight"},
    {"layer.0.SelfAttention.o.weight", "attn_o.weight"},
    {"layer.0.SelfAttention.relative_attention_bias.weight", "attn_rel_b.weight"},
    {"layer.0.layer_norm.weight", "attn_norm.weight"},
    {"layer.1.EncDecAttention.q.weight", "cross_attn_q.weight"},
    {"layer.1.EncDecAttention.k.weight", "cross_attn_k.weight"},
    {"layer.1.EncDecAttention.v.weight", "cross_attn_v.weight"},
    {"layer.1.EncDecAttention.o.weight", "cross_attn_o.weight"},
    {"layer.1.layer_norm.weight", "cross_attn_norm.weight"},
    {"layer.2.DenseReluDense.wi.weight", "ffn_up.weight"},
    {"layer.2.DenseReluDense.wi_0.weight", "ffn_gate.weight"},
    {"layer.2.DenseReluDense.wi_1.weight", "ffn_up.weight"},
    {"layer.2.DenseReluDense.wo.weight", "ffn_down.weight"},
    {"layer.2.layer_norm.weight", "ffn_norm.weight"}};

GgufRule gguf_rule(const ModelConfig&, const std::string& name) {
  for (const GgufName& pair : kTop)
    if (name == pair.hugging_face) return {.name = std::string(pair.gguf)};
  const bool decodes = name.starts_with("decoder.");
  const std::string found = decodes ? gguf_name_of(name, {}, kDecoder, "decoder.block.")
                                    : gguf_name_of(name, {}, kEncoder, "encoder.block.");
  return {.name = found.empty() ? "" : (decodes ? "dec." : "enc.") + found};
}

Status check_gguf(const ModelConfig& c) {
  const auto& own = std::get<T5Fields>(c.own);
  if (own.relative_attention_max_distance != kGgufMaxDistance)
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold 'relative_attention_max_distance': {}, only {}",
                own.relative_attention_max_distance, kGgufMaxDistance);
  if (own.scale_decoder_outputs != c.tie_word_embeddings)
    return fail(ErrorCode::kUnsupported,
                "GGUF cannot hold 'scale_decoder_outputs': {} with a head that is {}",
                own.scale_decoder_outputs, c.tie_word_embeddings ? "tied" : "not tied");
  return {};
}

// Copies of the shared embedding, and a bias that early files hold and no layer uses.
bool may_be_left_over(const std::string& name) {
  return name == "encoder.embed_tokens.weight" || name == "decoder.embed_tokens.weight" ||
         name.ends_with("EncDecAttention.relative_attention_bias.weight");
}

}  // namespace

const ModelFamily kT5Family = {.model_type = "t5",
                               .gguf_architecture = "t5",
                               .architectures = {"T5ForConditionalGeneration"},
                               .read_json = read_json,
                               .write_json = write_json,
                               .read_gguf = read_gguf,
                               .gguf_fields = gguf_fields,
                               .gguf_rule = gguf_rule,
                               .may_be_left_over = may_be_left_over,
                               .check_gguf = check_gguf,
                               .look_at_tensors = look_at_tensors};

}  // namespace volant
