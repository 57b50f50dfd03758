// Rotary positions (Su et al. 2021) as configurations describe them: theta, and how it is stretched.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/json.h"
#include "io/gguf.h"

namespace volant {

// Llama 3's stretched RoPE ("rope_scaling" of type "llama3").
struct Llama3RopeScaling {
  double factor = 8, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;
};

struct RopeConfig {
  double theta = 10000;
  std::optional<Llama3RopeScaling> scaling;
  // From GGUF's rope_freqs.weight, which stores the scaling as a divisor of each frequency; empty: none.
  std::vector<float> freq_factors;

  // "rope_theta" and "rope_scaling", or transformers 5's "rope_parameters". kUnsupported names another type.
  static Result<RopeConfig> from_json(const Json& config);
  // "<architecture>.rope.*" and rope_freqs.weight.
  static Result<RopeConfig> from_gguf(const GgufFile& file, const std::string& architecture,
                                      int64_t head_dim);
  void write(JsonObject& json) const;

  // head_dim / 2 frequencies in radians per position, scaling applied.
  std::vector<float> inv_freq(int64_t head_dim) const;
  // What scaling divides each frequency by, as GGUF stores it; empty when nothing is scaled.
  std::vector<float> factors(int64_t head_dim) const;
};

}  // namespace volant
