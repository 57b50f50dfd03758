// Steps of optimisers by the kernels, and in libtorch's words on one device: there AdamW is its fused kernel,
// where this libtorch has it.
#include "ops/torch/aten.h"
// Below it: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ATen.h>

#include <cmath>

#include "ops/torch/steps.h"

namespace volant::torch_ops {
namespace {

void kernel_adamw(const AdamW& s) {
  const auto n = static_cast<double>(s.step);
  if (!s.decoupled && s.decay > 0) {
    const auto pull = static_cast<float>(s.decay / s.gradient_scale);
    for (int64_t i = 0; i < s.n; ++i) s.g[i] += pull * s.w[i];
  }
  kernels().adamw({.n = s.n,
                   .w = s.w,
                   .g = s.g,
                   .m = s.m,
                   .v = s.v,
                   .gradient_scale = static_cast<float>(s.gradient_scale),
                   .beta1 = static_cast<float>(s.beta1),
                   .beta2 = static_cast<float>(s.beta2),
                   .eps = static_cast<float>(s.eps),
                   .step_size = static_cast<float>(s.lr / (1 - std::pow(s.beta1, n))),
                   .second_scale = static_cast<float>(1 / (1 - std::pow(s.beta2, n))),
                   .keep = static_cast<float>(1 - (s.decoupled ? s.lr * s.decay : 0))});
}

// One after another by the kernels of this processor.
double sum_of_squares(std::span<const std::span<const float>> parts) {
  double sum = 0;
  for (const auto& part : parts) sum += kernels().sum_of_squares(part.data(), std::ssize(part));
  return sum;
}

template <TorchBackend kWhere>
struct OnDevice {
  static at::Tensor tensor(const float* numbers, int64_t n) {
    return at::from_blob(const_cast<float*>(numbers), {n}, aten::options_of(kWhere));
  }

  static void adamw(const AdamW& s) {
    if (s.n == 0) return;
    at::Tensor w = tensor(s.w, s.n), g = tensor(s.g, s.n), m = tensor(s.m, s.n), v = tensor(s.v, s.n);
    if (s.gradient_scale != 1) g.mul_(s.gradient_scale);
    if (!s.decoupled && s.decay != 0) g.add_(w, s.decay);
    const double decay = s.decoupled ? s.decay : 0;
#if __has_include(<ATen/ops/_fused_adamw_cpu_dispatch.h>)
    const at::Tensor step = at::full({1}, static_cast<double>(s.step), w.options());
    at::_fused_adamw_({w}, {g}, {m}, {v}, {}, {step}, s.lr, s.beta1, s.beta2, decay, s.eps, /*amsgrad=*/false,
                      /*maximize=*/false);
#else
    const auto n = static_cast<double>(s.step);
    m.mul_(s.beta1).add_(g, 1 - s.beta1);
    v.mul_(s.beta2).addcmul_(g, g, 1 - s.beta2);
    const at::Tensor root = v.div(1 - std::pow(s.beta2, n)).sqrt_().add_(s.eps);
    w.mul_(1 - s.lr * decay).addcdiv_(m, root, -s.lr / (1 - std::pow(s.beta1, n)));
#endif
    g.zero_();
  }

  static void lion(const LionStep& s) {
    if (s.n == 0) return;
    at::Tensor w = tensor(s.w, s.n), g = tensor(s.g, s.n), m = tensor(s.m, s.n);
    g.mul_(s.gradient_scale);
    w.mul_(s.keep).sub_((m * s.beta1).add_(g, 1 - s.beta1).sign_(), s.lr);
    m.mul_(s.beta2).add_(g, 1 - s.beta2);
    g.zero_();
  }

  static void sgd(const SgdStep& s) {
    if (s.n == 0) return;
    at::Tensor w = tensor(s.w, s.n), g = tensor(s.g, s.n), m = tensor(s.m, s.n);
    g.mul_(s.gradient_scale);
    m.mul_(s.momentum).add_(g);
    w.mul_(s.keep).sub_(s.nesterov ? g.add(m, s.momentum) : m, s.lr);
    g.zero_();
  }

  static double sum_of_squares(std::span<const std::span<const float>> parts) {
    std::vector<at::Tensor> all;
    for (const auto& part : parts)
      if (!part.empty()) all.push_back(tensor(part.data(), std::ssize(part)));
    return all.empty()
               ? 0
               : at::stack(at::_foreach_norm(all)).to(at::kDouble).square().sum().template item<double>();
  }

  static constexpr Steps kSteps = {adamw, lion, sgd, sum_of_squares};
};

}  // namespace

const Steps& steps(TorchBackend where) {
  static const Steps kernel_steps = {kernel_adamw, kernels().lion, kernels().sgd, sum_of_squares};
  if (where == TorchBackend::kKernels) return kernel_steps;
  return where == TorchBackend::kCuda ? OnDevice<TorchBackend::kCuda>::kSteps
                                      : OnDevice<TorchBackend::kAten>::kSteps;
}

}  // namespace volant::torch_ops
