#include "models/experts_family.h"

#include <charconv>

namespace volant {
namespace {

constexpr const char* kMixtralCount = "num_local_experts";
constexpr int64_t kMaxExperts = 1024, kMaxWidth = 1 << 17;

Status check(const ExpertsFields& e, const char* count, const char* width) {
  TRY(check_range(count, e.num_experts, kMaxExperts));
  TRY(check_range("num_experts_per_tok", e.num_experts_per_tok, e.num_experts));
  TRY(check_range(width, e.intermediate_size, kMaxWidth));
  if (e.shared_intermediate_size != 0)
    TRY(check_range("shared_expert_intermediate_size", e.shared_intermediate_size, kMaxWidth));
  return {};
}

constexpr GgufName kParts[] = {{"gate", "ffn_gate_inp.weight"},
                               {"w1", "ffn_gate_exps.weight"},
                               {"w2", "ffn_down_exps.weight"},
                               {"w3", "ffn_up_exps.weight"},
                               {"gate_proj", "ffn_gate_exps.weight"},
                               {"down_proj", "ffn_down_exps.weight"},
                               {"up_proj", "ffn_up_exps.weight"},
                               {"shared_expert.gate_proj", "ffn_gate_shexp.weight"},
                               {"shared_expert.down_proj", "ffn_down_shexp.weight"},
                               {"shared_expert.up_proj", "ffn_up_shexp.weight"},
                               {"shared_expert_gate", "ffn_gate_inp_shexp.weight"}};

}  // namespace

Result<ExpertsFields> read_experts_json(const Json& json, const ExpertsNames& names) {
  TRY(expect_bool(json, "output_router_logits", false));  // it asks for the balancing loss
  if (TRY(json_number_or(json, "router_jitter_noise", 0)) != 0)
    return fail(ErrorCode::kUnsupported, "'router_jitter_noise' other than 0 is not supported");
  if (TRY(json_int_or(json, "decoder_sparse_step", 1)) != 1)
    return fail(ErrorCode::kUnsupported, "'decoder_sparse_step' other than 1 is not supported");
  if (const Json* dense = json_find(json, "mlp_only_layers"); dense != nullptr && *dense != Json(JsonArray()))
    return fail(ErrorCode::kUnsupported, "'mlp_only_layers': layers without experts are not supported");
  // Transformers 5 saves every family's count under Mixtral's name.
  const char* count = json_find(json, names.count) == nullptr ? kMixtralCount : names.count;
  ExpertsFields e{
      .num_experts = TRY(json_int_or(json, count, 0)),
      .num_experts_per_tok = TRY(json_int_or(json, "num_experts_per_tok", names.default_per_token)),
      .intermediate_size = TRY(json_int_or(json, names.width, 0)),
      .shared_intermediate_size = TRY(json_int_or(json, "shared_expert_intermediate_size", 0)),
      .router_aux_loss_coef = TRY(json_number_or(json, "router_aux_loss_coef", 0.001))};
  TRY(check(e, names.count, names.width));
  return e;
}

void write_experts_json(const ExpertsFields& e, const ExpertsNames& names, JsonObject& json) {
  json[names.count] = e.num_experts;
  json["num_experts_per_tok"] = e.num_experts_per_tok;
  json[names.width] = e.intermediate_size;
  if (e.shared_intermediate_size != 0) json["shared_expert_intermediate_size"] = e.shared_intermediate_size;
  json["router_aux_loss_coef"] = e.router_aux_loss_coef;
  json["output_router_logits"] = false;
}

Result<ExpertsFields> read_experts_gguf(const GgufFile& file, const std::string& architecture,
                                        int64_t width) {
  const auto int_or = [&](const char* end, int64_t other) -> Result<int64_t> {
    const std::string key = architecture + "." + end;
    return file.contains(key) ? file.get_int(key) : Result<int64_t>(other);
  };
  ExpertsFields e{.num_experts = TRY(file.get_int(architecture + ".expert_count")),
                  .num_experts_per_tok = TRY(file.get_int(architecture + ".expert_used_count")),
                  .intermediate_size = TRY(int_or("expert_feed_forward_length", width)),
                  .shared_intermediate_size = TRY(int_or("expert_shared_feed_forward_length", 0))};
  TRY(check(e, "expert_count", "expert_feed_forward_length"));
  return e;
}

void add_experts_fields(const ExpertsFields& e, const std::string& architecture,
                        std::vector<GgufField>& fields) {
  const auto add = [&](const char* end, int64_t value) {
    fields.push_back({architecture + "." + end, GgufField::Type::kU32, static_cast<uint64_t>(value)});
  };
  add("expert_count", e.num_experts);
  add("expert_used_count", e.num_experts_per_tok);
  add("expert_feed_forward_length", e.intermediate_size);
  if (e.shared_intermediate_size != 0) add("expert_shared_feed_forward_length", e.shared_intermediate_size);
}

GgufRule experts_gguf_rule(const ExpertsFields& e, const std::string& name) {
  constexpr std::string_view kRoot = "model.layers.", kEnd = ".weight";
  for (const std::string_view block : {".block_sparse_moe.", ".mlp."}) {
    const size_t at = name.find(block);
    if (!name.starts_with(kRoot) || !name.ends_with(kEnd) || at == std::string::npos) continue;
    const std::string layer = "blk." + name.substr(kRoot.size(), at - kRoot.size()) + ".";
    const size_t begin = at + block.size();
    std::string part = name.substr(begin, name.size() - kEnd.size() - begin);
    int64_t index = -1;
    constexpr std::string_view kExperts = "experts.";
    if (part.starts_with(kExperts)) {
      const char* end = part.data() + part.size();
      const auto number = std::from_chars(part.data() + kExperts.size(), end, index);
      if (number.ec != std::errc() || number.ptr == end || *number.ptr != '.') return {};
      part = std::string(number.ptr + 1, end);
    }
    for (const GgufName& pair : kParts) {
      if (part != pair.hugging_face) continue;
      if (index < 0) return {.name = layer + std::string(pair.gguf)};
      return {.name = layer + std::string(pair.gguf),
              .layout = GgufRule::Layout::kSlice,
              .count = e.num_experts,
              .index = index};
    }
  }
  return {};
}

}  // namespace volant
