// What the configurations and the GGUF files of Llama's relatives have in common, for their <family>.cc.
#pragma once
#include "models/family.h"
#include "models/rope_config.h"

namespace volant {

// rms_norm_eps and RoPE, which all of them have.
template <class Fields>
Status read_decoder_json(const Json& json, Fields& own) {
  own.rms_norm_eps = TRY(read_eps(json, "rms_norm_eps", own.rms_norm_eps));
  own.rope = TRY(RopeConfig::from_json(json));
  return {};
}
template <class Fields>
void write_decoder_json(const Fields& own, JsonObject& json) {
  json["rms_norm_eps"] = own.rms_norm_eps;
  own.rope.write(json);
}
// Keys "<architecture>.*".
template <class Fields>
Status read_decoder_gguf(const GgufFile& file, const std::string& architecture, int64_t n_turned,
                         Fields& own) {
  own.rms_norm_eps = TRY(file.get_number(architecture + ".attention.layer_norm_rms_epsilon"));
  own.rope = TRY(RopeConfig::from_gguf(file, architecture, n_turned));
  return {};
}
template <class Fields>
std::vector<GgufField> decoder_gguf_fields(const Fields& own, const std::string& architecture,
                                           int64_t n_turned) {
  std::vector<GgufField> fields = own.rope.gguf_fields(architecture, n_turned);
  fields.push_back(
      {architecture + ".attention.layer_norm_rms_epsilon", GgufField::Type::kF32, own.rms_norm_eps});
  return fields;
}

// read_gguf and gguf_fields of a family whose own fields, which ModelConfig holds as `Fields`, are these
// alone.
template <class Fields>
Status read_plain_gguf(const GgufFile& file, ModelConfig& c) {
  Fields own;
  TRY(read_decoder_gguf(file, c.family->gguf_architecture, c.head_dim, own));
  c.own = own;
  return {};
}
template <class Fields>
std::vector<GgufField> plain_gguf_fields(const ModelConfig& c) {
  return decoder_gguf_fields(std::get<Fields>(c.own), c.family->gguf_architecture, c.head_dim);
}

// "sliding_window": null or absent is 0.
Result<int64_t> read_sliding_window(const Json& json);
// "<architecture>.attention.sliding_window", 0 without it.
Result<int64_t> read_sliding_window(const GgufFile& file, const std::string& architecture);
void add_sliding_window(int64_t window, const std::string& architecture, std::vector<GgufField>& fields);
// "layer_types", where a file has it: each layer's word must be `full_attention` or, where
// `is_window(layer)`, `sliding_attention`.
Status check_layer_types(const Json& json, int64_t n_layer, bool (*is_window)(int64_t layer));

// What Qwen's dense models say of themselves: SiLU, and full attention in all layers.
Status check_qwen_json(const Json& json, const ModelConfig& config);
void write_qwen_json(const ModelConfig& config, JsonObject& json);

// "model.layers.3.mlp.up_proj.weight" is "blk.3.ffn_up.weight"; empty for a name that no decoder has.
std::string decoder_gguf_name(const std::string& name);
// kUnsupported for frequencies that GGUF keeps as a tensor, which llama.cpp knows of "llama" alone.
Status check_no_rope_tensor(const ModelConfig& config);
// The same as a rule that changes nothing.
GgufRule decoder_gguf_rule(const ModelConfig& config, const std::string& name);
// The same with the heads of q and k interleaved, as the GGUF architecture "llama" has them.
GgufRule llama_gguf_rule(const ModelConfig& config, const std::string& name);
// "....rotary_emb.inv_freq", which old files hold.
bool is_rope_buffer(const std::string& name);

}  // namespace volant
