// Mixtral's configuration and GGUF layout, a "llama" with experts; the model itself is in mixtral.h.
#include "models/experts_family.h"

namespace volant {
namespace {

constexpr ExpertsNames kNames{
    .count = "num_local_experts", .width = "intermediate_size", .default_per_token = 2};

Status read_json(const Json& json, ModelConfig& c) {
  TRY(expect_word(json, "hidden_act", "silu"));
  MixtralFields own;
  TRY(read_decoder_json(json, own));
  own.sliding_window = TRY(read_sliding_window(json));
  own.experts = TRY(read_experts_json(json, kNames));
  c.own = own;
  return {};
}

void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<MixtralFields>(c.own);
  json["hidden_act"] = "silu";
  json["sliding_window"] = own.sliding_window > 0 ? Json(own.sliding_window) : Json(nullptr);
  write_decoder_json(own, json);
  write_experts_json(own.experts, kNames, json);
}

bool is_gguf_of(const GgufFile& file) {
  const Result<int64_t> count = file.get_int("llama.expert_count");
  return count && *count > 0;
}

Status read_gguf(const GgufFile& file, ModelConfig& c) {
  MixtralFields own;
  TRY(read_decoder_gguf(file, "llama", c.head_dim, own));
  own.sliding_window = TRY(read_sliding_window(file, "llama"));
  own.experts = TRY(read_experts_gguf(file, "llama", c.intermediate_size));
  c.own = own;
  return {};
}

std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  const auto& own = std::get<MixtralFields>(c.own);
  std::vector<GgufField> fields = decoder_gguf_fields(own, "llama", c.head_dim);
  add_sliding_window(own.sliding_window, "llama", fields);
  add_experts_fields(own.experts, "llama", fields);
  return fields;
}

GgufRule gguf_rule(const ModelConfig& c, const std::string& name) {
  const GgufRule rule = experts_gguf_rule(std::get<MixtralFields>(c.own).experts, name);
  return rule.name.empty() ? llama_gguf_rule(c, name) : rule;
}

}  // namespace

const ModelFamily kMixtralFamily = {.model_type = "mixtral",
                                    .gguf_architecture = "llama",
                                    .architectures = {"MixtralForCausalLM"},
                                    .read_json = read_json,
                                    .write_json = write_json,
                                    .read_gguf = read_gguf,
                                    .gguf_fields = gguf_fields,
                                    .gguf_rule = gguf_rule,
                                    .is_gguf_of = is_gguf_of};

}  // namespace volant
