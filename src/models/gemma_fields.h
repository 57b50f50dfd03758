// What Gemma 2 and 3 have besides the fields of every model.
#pragma once
#include "models/rope_config.h"

namespace volant {

struct Gemma2Fields {
  static constexpr int kGlobalEvery = 2;  // layers that see all positions: the second, the fourth, ...
  static constexpr bool kHasHeadNorms = false;
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  double query_pre_attn_scalar = 256;                                // scores are divided by its root
  double attn_logit_softcapping = 50, final_logit_softcapping = 30;  // 0: none
  int64_t sliding_window = 4096;                                     // 0: none
  const RopeConfig& rope_of(bool /*is_global*/) const { return rope; }
};

struct Gemma3Fields {
  static constexpr int kGlobalEvery = 6;
  static constexpr bool kHasHeadNorms = true;
  double rms_norm_eps = 1e-6;
  RopeConfig rope;  // of the layers that see all positions
  double query_pre_attn_scalar = 256;
  double attn_logit_softcapping = 0, final_logit_softcapping = 0;
  int64_t sliding_window = 4096;
  RopeConfig local_rope;  // of the others; never scaled
  const RopeConfig& rope_of(bool is_global) const { return is_global ? rope : local_rope; }
};

}  // namespace volant
