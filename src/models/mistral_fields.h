// What a Mistral has besides the fields of every model.
#pragma once
#include "models/rope_config.h"

namespace volant {

struct MistralFields {
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  int64_t sliding_window = 0;  // positions that a query sees, its own included; 0: all
};

}  // namespace volant
