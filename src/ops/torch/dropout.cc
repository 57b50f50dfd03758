#include "ops/torch/dropout.h"

#include <bit>

#include "ops/torch/autograd.h"
#include "ops/torch/rows.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace torch_ops {
namespace {

// SplitMix64 (Steele et al. 2014) of a counter: any number of the stream without those before it.
uint64_t random_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Inline twins of tensor/dtype.h; what they round is always finite.
float number(float x) { return x; }
float number(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
void set(float& to, float x) { to = x; }
void set(uint16_t& to, float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  to = static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

template <class T>
void drop_numbers(const T* x, int64_t n, float p, uint64_t seed, T* to) {
  const auto limit = static_cast<uint64_t>(static_cast<double>(p) * 0x1p32);
  const float keep = 1 / (1 - p);
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i) {
    const bool stays = (random_bits(seed, static_cast<uint64_t>(i)) >> 32) >= limit;
    set(to[i], stays ? number(x[i]) * keep : 0.0F);
  }
}

}  // namespace

void drop(const at::Tensor& x, float p, uint64_t seed, at::Tensor& to) {
  if (is_bf16(x)) {
    drop_numbers(static_cast<const uint16_t*>(x.data_ptr()), x.numel(), p, seed,
                 static_cast<uint16_t*>(to.data_ptr()));
  } else {
    drop_numbers(x.data_ptr<float>(), x.numel(), p, seed, to.data_ptr<float>());
  }
}

}  // namespace torch_ops

TorchOps::Act TorchOps::dropout(const Act& x_in, float p) {
  using namespace torch_ops;  // NOLINT: the helpers of rows.h
  if (!trains() || p == 0) return x_in;
  const uint64_t seed = draw();
  const at::Tensor x = x_in.x.detach();
  at::Tensor y = empty(x.size(0), x.size(1), is_bf16(x));
  drop(x, p, seed, y);
  if (!learns({x_in.x})) return {y};
  return {with_backward(y, {x_in.x}, [p, seed, bf16 = is_bf16(x)](const at::Tensor& grad) {
    const at::Tensor g = converted(grad, bf16);
    at::Tensor grad_x = empty(g.size(0), g.size(1), bf16);
    drop(g, p, seed, grad_x);
    return std::vector<at::Tensor>{grad_x};
  })};
}

}  // namespace volant
