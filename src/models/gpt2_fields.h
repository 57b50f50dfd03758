// What a GPT-2 has besides the fields of every model.
#pragma once

namespace volant {

struct Gpt2Fields {
  double layer_norm_epsilon = 1e-5;
};

}  // namespace volant
