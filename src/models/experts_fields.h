// What a mixture of experts has besides the fields of its decoder.
#pragma once
#include <cstdint>

namespace volant {

struct ExpertsFields {
  int64_t num_experts = 0;  // 0: none, an ordinary feed-forward layer
  int64_t num_experts_per_tok = 2;
  int64_t intermediate_size = 0;         // of each
  int64_t shared_intermediate_size = 0;  // of the one that every row meets; 0: there is none
  bool norm_topk_prob = true;            // the weights of the chosen add up to one
  double router_aux_loss_coef = 0.001;  // kept for others; the balancing loss itself is not trained with here
};

}  // namespace volant
