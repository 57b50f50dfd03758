// What a Qwen3 has besides the fields of every model.
#pragma once
#include "models/rope_config.h"

namespace volant {

struct Qwen3Fields {
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
};

}  // namespace volant
