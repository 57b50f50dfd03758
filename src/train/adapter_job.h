// What a run trains: everything, some tensors, or adapters beside frozen ones.
//   "freeze":     patterns of tensors that stay as they are: ["model.embed_tokens", "model.layers.0-3"]
//   "train_only": patterns of tensors that alone are trained
//   "adapter":    {"kind": "lora" | "rslora" | "dora", "r": 16, "alpha": 32, "dropout": 0.0,
//                  "target_modules": ["q_proj", ...] or "all-linear", "base_bits": 32 | 16 | 8 | 4,
//                  "in_8_bits": ["down_proj", ...],   with base_bits 4: patterns of matrices that stay in 8
//                  "start": "nothing" | "rounding"}   with base_bits 4, 8, 16: see start_from_rounding
// A pattern is a run of whole parts of a tensor's name; a part may be "*" or a range of numbers "0-3".
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/instances/torch.h"

namespace volant {

struct AdapterJob {
  std::vector<std::string> freeze, train_only;
  std::optional<AdapterSpec> adapter;
  int base_bits = 32;                  // of the frozen matrices: f32, bf16, q8_0 blocks or iq4_nl blocks
  std::vector<std::string> in_8_bits;  // patterns of frozen matrices in q8_0, with base_bits 4

  bool start_from_rounding = false;  // LoRA's factors begin with what base_bits took from the matrices

  bool trains_all() const { return freeze.empty() && train_only.empty() && !adapter; }
};

// From the whole job; absent keys leave everything trained.
Result<AdapterJob> parse_adapter_job(const Json& job);
bool matches_tensor(const std::string& pattern, const std::string& tensor_name);
// kInvalidArgument names a pattern that matches no tensor of the model.
Status check_patterns(const AdapterJob& job, const ModelConfig& config);
// The part of the options that says what is trained.
TorchOptions torch_options(const AdapterJob& job);

}  // namespace volant
