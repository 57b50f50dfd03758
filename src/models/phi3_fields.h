// What a Phi-3 has besides the fields of every model.
#pragma once
#include "models/rope_config.h"

namespace volant {

struct Phi3Fields {
  double rms_norm_eps = 1e-5;
  RopeConfig rope;
  double partial_rotary_factor = 1;  // share of a head's dimensions that RoPE turns
  int64_t sliding_window = 0;        // 0: none
  int64_t n_turned(int64_t head_dim) const {
    return static_cast<int64_t>(static_cast<double>(head_dim) * partial_rotary_factor);
  }
};

}  // namespace volant
