#include "train/adamw.h"

#include <cmath>

#include "ops/torch/kernels.h"

namespace volant {

AdamW::AdamW(const TorchModel& model) {
  for (const auto& p : model.parameters()) {
    first_.emplace_back(p.values.size());
    second_.emplace_back(p.values.size());
  }
}

double AdamW::gradient_norm(const TorchModel& model) {
  double squares = 0;
  for (const auto& p : model.parameters())
    squares +=
        torch_ops::kernels().sum_of_squares(p.gradient.data(), static_cast<int64_t>(p.gradient.size()));
  return std::sqrt(squares);
}

void AdamW::step(TorchModel& model, const TrainJob& job, int64_t step, double lr, double gradient_scale) {
  const double n = static_cast<double>(step + 1);
  for (size_t i = 0; i < first_.size(); ++i) {
    const auto& p = model.parameters()[i];
    const bool decays = p.spec.shape.size() > 1;
    torch_ops::kernels().adamw({.n = static_cast<int64_t>(p.values.size()),
                                .w = p.values.data(),
                                .g = p.gradient.data(),
                                .m = first_[i].data(),
                                .v = second_[i].data(),
                                .gradient_scale = static_cast<float>(gradient_scale),
                                .beta1 = static_cast<float>(job.beta1),
                                .beta2 = static_cast<float>(job.beta2),
                                .eps = static_cast<float>(job.eps),
                                .step_size = static_cast<float>(lr / (1 - std::pow(job.beta1, n))),
                                .second_scale = static_cast<float>(1 / (1 - std::pow(job.beta2, n))),
                                .keep = static_cast<float>(1 - (decays ? lr * job.weight_decay : 0))});
  }
  model.weights_changed();
}

}  // namespace volant
