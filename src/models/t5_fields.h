// What a T5 has besides the fields of every model.
#pragma once
#include <cstdint>

namespace volant {

struct T5Fields {
  int64_t num_decoder_layers = 0;
  int64_t relative_attention_num_buckets = 32, relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;
  bool gated_gelu = false;  // v1.1 and Flan; the first T5 has relu
  int64_t decoder_start_token_id = 0;
  bool scale_decoder_outputs =
      false;  // what the head reads is scaled by D^-0.5; the first T5, whose head is tied
};

}  // namespace volant
