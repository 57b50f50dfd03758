#include "train/optimizer.h"

namespace volant {

std::unique_ptr<Optimizer> make_sgd(const TrainJob& job, const Parameters& parameters) {
  const auto rule = [&job](const TorchModel::Parameter& p, float* m, double lr, double gradient_scale) {
    torch_ops::steps(torch_backend())
        .sgd({.n = static_cast<int64_t>(p.values.size()),
              .w = p.values.data(),
              .g = p.gradient.data(),
              .m = m,
              .gradient_scale = static_cast<float>(gradient_scale),
              .momentum = static_cast<float>(job.momentum),
              .lr = static_cast<float>(lr),
              .keep = kept_of(p, lr, job.weight_decay),
              .nesterov = job.nesterov});
  };
  return one_moment_optimizer(parameters, rule);
}

}  // namespace volant
