// Small random models of every decoder family, for tests: configurations as config.json would say them, and
// Hugging Face folders with random weights.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/safetensors.h"
#include "models/model_config.h"

namespace volant::testing {

// A name after ":" is a variant: an option of the family.
inline const std::vector<std::string>& decoder_families() {
  static const std::vector<std::string> kNames = {
      "gpt2",    "llama",   "llama:linear", "llama:llama3",  "llama:yarn", "llama:bias",
      "mistral", "mixtral", "qwen2_moe",    "qwen3_moe",     "qwen2",      "qwen2:yarn",
      "qwen3",   "gemma2",  "gemma3",       "gemma3:linear", "phi3"};
  return kNames;
}

inline JsonObject rope_scaling_of(const std::string& variant) {
  JsonObject scaling{{"rope_type", variant}, {"factor", 4.0}};
  if (variant != "linear") scaling["original_max_position_embeddings"] = 32;
  if (variant == "llama3") {
    scaling["low_freq_factor"] = 1.0;
    scaling["high_freq_factor"] = 4.0;
  }
  return scaling;
}

// Random sizes within what the family allows; also what GGUF can hold of them.
inline JsonObject random_config(const std::string& name, Random& random) {
  const size_t colon = name.find(':');
  const std::string family = name.substr(0, colon);
  const std::string variant = colon == std::string::npos ? "" : name.substr(colon + 1);
  const auto some = [&](uint64_t least, uint64_t n) { return static_cast<int64_t>(least + random.below(n)); };
  const int64_t kv_heads = some(1, 3), heads = kv_heads * some(1, 3), head_dim = 8 * some(1, 4);
  const int64_t layers = family == "gemma3" ? 7 : some(2, 2), vocab = some(600, 200);
  if (family == "gpt2")
    return {{"architectures", {"GPT2LMHeadModel"}},
            {"model_type", "gpt2"},
            {"vocab_size", vocab},
            {"n_embd", heads * head_dim},
            {"n_layer", layers},
            {"n_head", heads},
            {"n_positions", 128},
            {"n_inner", nullptr},
            {"activation_function", "gelu_new"},
            {"layer_norm_epsilon", 1e-5}};
  const std::map<std::string, std::string> kArchitectures = {
      {"llama", "LlamaForCausalLM"},        {"mistral", "MistralForCausalLM"},
      {"qwen2", "Qwen2ForCausalLM"},        {"qwen3", "Qwen3ForCausalLM"},
      {"mixtral", "MixtralForCausalLM"},    {"qwen2_moe", "Qwen2MoeForCausalLM"},
      {"qwen3_moe", "Qwen3MoeForCausalLM"}, {"gemma2", "Gemma2ForCausalLM"},
      {"gemma3", "Gemma3ForCausalLM"},      {"phi3", "Phi3ForCausalLM"}};
  const bool own_head_dim =
      family == "qwen3" || family == "qwen3_moe" || family == "gemma2" || family == "gemma3";
  JsonObject json{{"architectures", {kArchitectures.at(family).c_str()}},
                  {"model_type", family == "gemma3" ? "gemma3_text" : family.c_str()},
                  {"vocab_size", vocab},
                  {"hidden_size", own_head_dim ? 8 * some(3, 8) : heads * head_dim},
                  {"intermediate_size", 8 * some(2, 12)},
                  {"num_hidden_layers", layers},
                  {"num_attention_heads", heads},
                  {"num_key_value_heads", kv_heads},
                  {"head_dim", head_dim},
                  {"max_position_embeddings", 128},
                  {"rms_norm_eps", 1e-6},
                  {"rope_theta", random.below(2) == 0 ? 10000.0 : 500000.0},
                  {"tie_word_embeddings", random.below(2) == 0}};
  if (variant == "bias") json["attention_bias"] = json["mlp_bias"] = true;
  if (!variant.empty() && variant != "bias") json["rope_scaling"] = rope_scaling_of(variant);
  if (family == "mistral" || family == "phi3") json["sliding_window"] = some(3, 20);
  if (family == "phi3") json["partial_rotary_factor"] = 0.75;
  if (family == "mixtral" || family.ends_with("_moe")) {
    const int64_t experts = some(3, 3);
    json[family == "mixtral" ? "num_local_experts" : "num_experts"] = experts;
    // All of them in one family: no choice that a small step could change.
    json["num_experts_per_tok"] = family == "qwen3_moe" ? experts : some(2, 2);
    if (family != "mixtral") json["moe_intermediate_size"] = 8 * some(1, 4);
    if (family == "qwen2_moe") json["shared_expert_intermediate_size"] = 8 * some(1, 6);
    if (family == "qwen3_moe") json["norm_topk_prob"] = true;
  }
  if (family == "gemma2" || family == "gemma3") {
    json["tie_word_embeddings"] = true;
    json["hidden_activation"] = "gelu_pytorch_tanh";
    json["query_pre_attn_scalar"] = static_cast<double>(head_dim);
    json["sliding_window"] = some(3, 20);
  }
  if (family == "gemma2") {
    json["attn_logit_softcapping"] = 5.0;
    json["final_logit_softcapping"] = 3.0;
  }
  if (family == "gemma3") json["rope_local_base_freq"] = 1000.0;
  return json;
}

// Random numbers for a tensor: matrices that keep the size of what they multiply, vectors away from 0.
inline std::vector<float> random_tensor(const TensorSpec& spec, Random& random) {
  int64_t n = 1;
  for (const int64_t size : spec.shape) n *= size;
  const bool vector = spec.shape.size() == 1;
  const double deviation = vector ? 0.2 : 1.0 / std::sqrt(static_cast<double>(spec.shape[1]));
  const double mean = vector && spec.init == TensorInit::kOne ? 1 : 0;
  std::vector<float> numbers(static_cast<size_t>(n));
  for (float& x : numbers) x = static_cast<float>(mean + deviation * random.normal());
  return numbers;
}

using NamedTensors = std::map<std::string, std::vector<float>>;

// Writes config.json and model.safetensors; gives the tensors as the model text has them, [out, in].
inline NamedTensors write_random_model(const Path& folder, const ModelConfig& config, Random& random) {
  NamedTensors tensors, in_file;
  std::map<std::string, SafetensorsEntry> entries;
  for (const TensorSpec& spec : tensor_specs(config)) {
    const std::vector<float>& numbers = tensors[spec.name] = random_tensor(spec, random);
    std::vector<float>& file = in_file[spec.name] = numbers;
    std::vector<int64_t> shape = spec.shape;
    if (spec.transposed) {
      const auto rows = static_cast<size_t>(shape[0]), columns = static_cast<size_t>(shape[1]);
      for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < columns; ++c) file[c * rows + r] = numbers[r * columns + c];
      std::swap(shape[0], shape[1]);
    }
    entries[spec.name] = {"F32", shape, std::as_bytes(std::span<const float>(file))};
  }
  EXPECT_TRUE(write_safetensors(folder / "model.safetensors", entries));
  EXPECT_TRUE(write_file_atomic(folder / "config.json", dump_json(config.to_json())));
  return tensors;
}

}  // namespace volant::testing
