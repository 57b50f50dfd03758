// What the configurations and the GGUF files of mixtures of experts have in common, for their <family>.cc.
#pragma once
#include "models/decoder_family.h"

namespace volant {

// How the family's config.json names them, and what it means by leaving out how many experts a row meets.
struct ExpertsNames {
  const char *count, *width;  // the number of experts and their intermediate size
  int64_t default_per_token;
};

// Refuses by name what the mixture here does not do: noise on the router, and the loss that balances it.
Result<ExpertsFields> read_experts_json(const Json& json, const ExpertsNames& names);
void write_experts_json(const ExpertsFields& experts, const ExpertsNames& names, JsonObject& json);
// Keys "<architecture>.expert_*"; `width` where the file names none.
Result<ExpertsFields> read_experts_gguf(const GgufFile& file, const std::string& architecture, int64_t width);
void add_experts_fields(const ExpertsFields& experts, const std::string& architecture,
                        std::vector<GgufField>& fields);
// "mlp.experts.3.up_proj.weight" is the third part of "ffn_up_exps.weight"; other names are none of its.
GgufRule experts_gguf_rule(const ExpertsFields& experts, const std::string& name);

}  // namespace volant
