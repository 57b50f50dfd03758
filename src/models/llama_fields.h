// What a Llama has besides the fields of every model.
#pragma once
#include "models/rope_config.h"

namespace volant {

struct LlamaFields {
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  bool attention_bias = false;  // of q, k, v and o
  bool mlp_bias = false;
};

}  // namespace volant
