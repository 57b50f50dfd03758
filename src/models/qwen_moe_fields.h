// What a Qwen2-MoE and a Qwen3-MoE have besides the fields of every model.
#pragma once
#include "models/experts_fields.h"
#include "models/rope_config.h"

namespace volant {

struct Qwen2MoeFields {
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  ExpertsFields experts;
};
struct Qwen3MoeFields {
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  ExpertsFields experts;
};

}  // namespace volant
