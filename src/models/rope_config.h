// Rotary positions (Su et al. 2021) as configurations describe them: theta, and how it is stretched beyond
// the context that a model was trained with. `n_turned` is how many dimensions of a head are turned:
// head_dim, or less.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/json.h"
#include "io/gguf.h"

namespace volant {

struct RopeScaling {
  enum class Type {
    kLinear,  // every frequency over the factor (Chen et al. 2023)
    kLlama3,  // long waves over the factor, short ones as they are, those between blended (Llama 3.1)
    kYarn,    // the same with YaRN's ramp over dimensions, and scores scaled (Peng et al. 2023)
  };
  Type type = Type::kLinear;
  double factor = 1;
  int64_t original_max_position_embeddings = 0;      // kLlama3, kYarn
  double low_freq_factor = 1, high_freq_factor = 4;  // kLlama3
};

struct RopeConfig {
  double theta = 10000;
  std::optional<RopeScaling> scaling;
  // From GGUF's rope_freqs.weight, which stores the scaling as a divisor of each frequency; empty: none.
  std::vector<float> freq_factors;

  // "rope_theta" and "rope_scaling", or transformers 5's "rope_parameters". kUnsupported names another type
  // or option.
  static Result<RopeConfig> from_json(const Json& config);
  // The scaling of one object such as "rope_scaling". `max_positions`: of the model, for what leaves out the
  // context it was trained with.
  static Result<std::optional<RopeScaling>> read_scaling(const Json& scaling, int64_t max_positions);
  // "<architecture>.rope.*" and rope_freqs.weight.
  static Result<RopeConfig> from_gguf(const GgufFile& file, const std::string& architecture,
                                      int64_t n_turned);
  void write(JsonObject& json) const;
  // "<architecture>.rope.*"; rope_freqs.weight comes from factors().
  std::vector<GgufField> gguf_fields(const std::string& architecture, int64_t n_turned) const;

  // n_turned / 2 frequencies in radians per position, scaling applied.
  std::vector<float> inv_freq(int64_t n_turned) const;
  // What is turned is multiplied by this (YaRN's attention factor).
  float turned_scale() const;
  // What scaling divides each frequency by, where GGUF stores that as a tensor; otherwise empty.
  std::vector<float> factors(int64_t n_turned) const;
};

}  // namespace volant
