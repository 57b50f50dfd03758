// What defines a Llama: the fields of Hugging Face's config.json, the same from GGUF metadata.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/gguf.h"

namespace volant {

// Llama 3's stretched RoPE ("rope_scaling" of type "llama3").
struct Llama3RopeScaling {
  double factor = 8, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;
};

struct LlamaConfig {
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  int64_t num_hidden_layers = 0, num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-5, rope_theta = 10000, initializer_range = 0.02;
  bool tie_word_embeddings = false;
  std::optional<Llama3RopeScaling> rope_scaling;
  // From GGUF's rope_freqs.weight, which stores the scaling as a divisor of each frequency; empty: none.
  std::vector<float> rope_freq_factors;
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;

  // kUnsupported names an architecture or option that is not done here; it is never ignored.
  static Result<LlamaConfig> from_json(const Json& config);
  static Result<LlamaConfig> from_gguf(const GgufFile& file);
  // config.json of a Hugging Face folder ("architectures": ["LlamaForCausalLM"]).
  Json to_json() const;
  int64_t n_parameters() const;
  // head_dim / 2 frequencies, scaling applied.
  std::vector<float> rope_inv_freq() const;
};

}  // namespace volant
