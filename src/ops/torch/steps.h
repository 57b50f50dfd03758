// Steps of optimisers, and the norm that gradients are cut at, on numbers in the memory of a backend.
#pragma once
#include <span>

#include "ops/torch/backend.h"
#include "ops/torch/kernels.h"

namespace volant::torch_ops {

// Step number `step`, from 1, of AdamW; gradients become zeros. With m and v the means of g and g^2 without
// their bias of the first steps: w = (1 - lr * decay) * w - lr * m / (sqrt(v) + eps). Not decoupled (Adam),
// decay * w is added to the gradient in its place.
struct AdamW {
  int64_t n = 0;
  float *w = nullptr, *g = nullptr, *m = nullptr, *v = nullptr;
  int64_t step = 1;
  double gradient_scale = 1, beta1 = 0, beta2 = 0, eps = 0, lr = 0, decay = 0;
  bool decoupled = true;
};

struct Steps {
  void (*adamw)(const AdamW& step);
  void (*lion)(const LionStep& step);
  void (*sgd)(const SgdStep& step);
  double (*sum_of_squares)(std::span<const std::span<const float>> parts);
};
const Steps& steps(TorchBackend where);

}  // namespace volant::torch_ops
