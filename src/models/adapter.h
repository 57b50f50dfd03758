// Low-rank adapters as files and numbers, for training, merging and serving: which matrices they stand
// beside, their factors, and PEFT's layout (huggingface/peft: adapter_config.json,
// adapter_model.safetensors). O outputs, I inputs, r rank.
//   LoRA, rsLoRA:  W + scale B A                        scale: alpha / r, or alpha / sqrt(r) for rsLoRA
//   DoRA:          magnitude * (W + scale B A) / |.|    |.|: the norm of each row
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/file.h"
#include "models/model_config.h"

namespace volant {

inline constexpr int64_t kMaxAdapterRank = 1 << 14;

struct AdapterSpec {
  enum class Kind { kLora, kRsLora, kDora };
  Kind kind = Kind::kLora;
  int64_t r = 16;
  double alpha = 32, dropout = 0;
  // Modules ("q_proj", or longer ends of names: "self_attn.q_proj"), or "all-linear" alone: every matrix but
  // the head.
  std::vector<std::string> target_modules = {"all-linear"};

  double scale() const;
  bool operator==(const AdapterSpec&) const = default;
};

// The names of the matrices that the adapter stands beside, in the model's order. kInvalidArgument names a
// module that matches none, or one that cannot carry an adapter (embeddings, the head, norms).
Result<std::vector<std::string>> adapted_tensors(const ModelConfig& config, const AdapterSpec& spec);

struct AdapterFactors {
  std::vector<float> a_rI, b_Or, magnitude_O;  // magnitude of DoRA alone
};

struct Adapter {
  AdapterSpec spec;
  std::string base_model;                         // where the base is, as the file says; may be empty
  std::map<std::string, AdapterFactors> factors;  // by tensor name: "model.layers.0.self_attn.q_proj.weight"
};

// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"; `part` as in PEFT: lora_A.weight,
// lora_B.weight or lora_magnitude_vector.
std::string peft_name(const std::string& tensor_name, const char* part);

// An adapter made here or elsewhere for this model. Options of PEFT that are not done are refused by name.
Result<Adapter> read_adapter(const Path& folder, const ModelConfig& config);
// Writes both files aside and renames the folder.
Status write_adapter(const Path& folder, const Adapter& adapter, const ModelConfig& config);

// W [O, I] becomes what it is with the adapter.
void merge_adapter(const AdapterFactors& factors, const AdapterSpec& spec, int64_t n_out, int64_t n_in,
                   std::span<float> w_OI);

}  // namespace volant
