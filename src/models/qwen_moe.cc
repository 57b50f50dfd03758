// The configurations and GGUF layouts of Qwen2-MoE and Qwen3-MoE; the models themselves are in qwen_moe.h.
#include "models/experts_family.h"

namespace volant {
namespace {

template <class Fields>
constexpr ExpertsNames kNames{.count = "num_experts",
                              .width = "moe_intermediate_size",
                              .default_per_token = std::is_same_v<Fields, Qwen3MoeFields> ? 8 : 4};

template <class Fields>
Status read_json(const Json& json, ModelConfig& c) {
  constexpr bool kThird = std::is_same_v<Fields, Qwen3MoeFields>;
  TRY(expect_word(json, "hidden_act", "silu"));
  TRY(expect_bool(json, "use_sliding_window", false));
  TRY(expect_bool(json, kThird ? "attention_bias" : "qkv_bias", !kThird));
  Fields own;
  TRY(read_decoder_json(json, own));
  own.experts = TRY(read_experts_json(json, kNames<Fields>));
  own.experts.norm_topk_prob = TRY(json_bool_or(json, "norm_topk_prob", false));
  if (kThird != (own.experts.shared_intermediate_size == 0))
    return fail(ErrorCode::kParse, "'shared_expert_intermediate_size' is {}, expected {}",
                own.experts.shared_intermediate_size, kThird ? "none" : "1 and more");
  c.own = own;
  return {};
}

template <class Fields>
void write_json(const ModelConfig& c, JsonObject& json) {
  const auto& own = std::get<Fields>(c.own);
  json["hidden_act"] = "silu";
  json["use_sliding_window"] = false;
  json["sliding_window"] = nullptr;
  if (std::is_same_v<Fields, Qwen3MoeFields>) json["attention_bias"] = false;
  json["decoder_sparse_step"] = 1;
  json["mlp_only_layers"] = JsonArray();
  json["norm_topk_prob"] = own.experts.norm_topk_prob;
  write_decoder_json(own, json);
  write_experts_json(own.experts, kNames<Fields>, json);
}

template <class Fields>
const char* architecture() {
  return std::is_same_v<Fields, Qwen3MoeFields> ? "qwen3moe" : "qwen2moe";
}

template <class Fields>
Status read_gguf(const GgufFile& file, ModelConfig& c) {
  Fields own;
  TRY(read_decoder_gguf(file, architecture<Fields>(), c.head_dim, own));
  own.experts = TRY(read_experts_gguf(file, architecture<Fields>(), 0));
  // GGUF has no key for it: the one architecture shares the weight out, the other does not.
  own.experts.norm_topk_prob = std::is_same_v<Fields, Qwen3MoeFields>;
  c.own = own;
  return {};
}

template <class Fields>
std::vector<GgufField> gguf_fields(const ModelConfig& c) {
  const auto& own = std::get<Fields>(c.own);
  std::vector<GgufField> fields = decoder_gguf_fields(own, architecture<Fields>(), c.head_dim);
  add_experts_fields(own.experts, architecture<Fields>(), fields);
  return fields;
}

template <class Fields>
GgufRule gguf_rule(const ModelConfig& c, const std::string& name) {
  const GgufRule rule = experts_gguf_rule(std::get<Fields>(c.own).experts, name);
  return rule.name.empty() ? decoder_gguf_rule(c, name) : rule;
}

template <class Fields>
Status check_gguf(const ModelConfig& c) {
  if (std::get<Fields>(c.own).experts.norm_topk_prob != std::is_same_v<Fields, Qwen3MoeFields>)
    return fail(ErrorCode::kUnsupported, "GGUF cannot hold 'norm_topk_prob': {} for {}",
                std::get<Fields>(c.own).experts.norm_topk_prob, c.architecture);
  return check_no_rope_tensor(c);
}

}  // namespace

const ModelFamily kQwen2MoeFamily = {.model_type = "qwen2_moe",
                                     .gguf_architecture = "qwen2moe",
                                     .architectures = {"Qwen2MoeForCausalLM"},
                                     .read_json = read_json<Qwen2MoeFields>,
                                     .write_json = write_json<Qwen2MoeFields>,
                                     .read_gguf = read_gguf<Qwen2MoeFields>,
                                     .gguf_fields = gguf_fields<Qwen2MoeFields>,
                                     .gguf_rule = gguf_rule<Qwen2MoeFields>,
                                     .check_gguf = check_gguf<Qwen2MoeFields>,
                                     .gguf_repeats_tied_head = true};

const ModelFamily kQwen3MoeFamily = {.model_type = "qwen3_moe",
                                     .gguf_architecture = "qwen3moe",
                                     .architectures = {"Qwen3MoeForCausalLM"},
                                     .read_json = read_json<Qwen3MoeFields>,
                                     .write_json = write_json<Qwen3MoeFields>,
                                     .read_gguf = read_gguf<Qwen3MoeFields>,
                                     .gguf_fields = gguf_fields<Qwen3MoeFields>,
                                     .gguf_rule = gguf_rule<Qwen3MoeFields>,
                                     .check_gguf = check_gguf<Qwen3MoeFields>};

}  // namespace volant
