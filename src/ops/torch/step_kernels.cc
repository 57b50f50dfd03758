// Steps of optimisers, and the norm that gradients are cut at.
#include <cmath>
#include <vector>

#include "ops/torch/kernel_loops.h"

namespace volant::torch_ops::VOLANT_ISA {

void adamw(const AdamWStep& s) {
  split_lanes(s.n, [&s](int64_t begin, int64_t end) {
    const float scale = s.gradient_scale, b1 = s.beta1, b2 = s.beta2, eps = s.eps, size = s.step_size,
                second = s.second_scale, keep = s.keep;
    float* __restrict w = s.w;
    float* __restrict g = s.g;
    float* __restrict m = s.m;
    float* __restrict v = s.v;
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * scale;
      m[i] = b1 * m[i] + (1 - b1) * gradient;
      v[i] = b2 * v[i] + (1 - b2) * gradient * gradient;
      w[i] = keep * w[i] - size * m[i] / (std::sqrt(v[i] * second) + eps);
      g[i] = 0;
    }
  });
}

void lion(const LionStep& s) {
  split_lanes(s.n, [&s](int64_t begin, int64_t end) {
    const float scale = s.gradient_scale, b1 = s.beta1, b2 = s.beta2, lr = s.lr, keep = s.keep;
    float* __restrict w = s.w;
    float* __restrict g = s.g;
    float* __restrict m = s.m;
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * scale, mixed = b1 * m[i] + (1 - b1) * gradient;
      const float sign = static_cast<float>((mixed > 0) - (mixed < 0));
      w[i] = keep * w[i] - lr * sign;
      m[i] = b2 * m[i] + (1 - b2) * gradient;
      g[i] = 0;
    }
  });
}

void sgd(const SgdStep& s) {
  split_lanes(s.n, [&s](int64_t begin, int64_t end) {
    const float scale = s.gradient_scale, momentum = s.momentum, lr = s.lr, keep = s.keep;
    const float ahead = s.nesterov ? momentum : 1, now = s.nesterov ? 1.0F : 0.0F;
    float* __restrict w = s.w;
    float* __restrict g = s.g;
    float* __restrict m = s.m;
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = g[i] * scale;
      m[i] = momentum * m[i] + gradient;
      w[i] = keep * w[i] - lr * (now * gradient + ahead * m[i]);
      g[i] = 0;
    }
  });
}

// In blocks of fixed size, added up in order: threads do not change the sum.
double sum_of_squares(const float* x, int64_t n) {
  constexpr int64_t kBlock = 1 << 14;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks));
  split(blocks, kBlock, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      V squares{};
      const int64_t stop = std::min((b + 1) * kBlock, n);
      for (int64_t i = b * kBlock; i < stop; i += kLanes) {
        const V v = load_some(x + i, stop - i);
        squares += v * v;
      }
      sums[static_cast<size_t>(b)] = static_cast<double>(sum(squares));
    }
  });
  double total = 0;
  for (const double s : sums) total += s;
  return total;
}

}  // namespace volant::torch_ops::VOLANT_ISA
