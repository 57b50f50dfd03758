// What a Mixtral has besides the fields of every model.
#pragma once
#include "models/experts_fields.h"
#include "models/rope_config.h"

namespace volant {

struct MixtralFields {
  double rms_norm_eps = 1e-5;
  RopeConfig rope;
  int64_t sliding_window = 0;  // 0: none
  ExpertsFields experts;
};

}  // namespace volant
