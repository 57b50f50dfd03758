#include "ops/torch/dropout.h"

#include <algorithm>
#include <bit>
#include <cmath>

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

constexpr int64_t kTogether = 4;  // numbers that share 64 random bits, 16 for each

template <class T>
void drop_numbers(const T* x, int64_t n, float p, uint64_t seed, T* to) {
  const auto limit = static_cast<uint64_t>(std::min(std::lround(static_cast<double>(p) * 0x1p16), 0xFFFFL));
  const float keep = 1 / (1 - p);
  const auto drop_group = [=](int64_t group, int64_t count) {
    const uint64_t bits = random_bits(seed, static_cast<uint64_t>(group));
    for (int64_t i = 0; i < count; ++i) {
      // A mask, no branch: chance cannot be foreseen.
      const uint32_t stays = ((bits >> (16 * i)) & 0xFFFF) >= limit ? ~0U : 0U;
      const int64_t at = group * kTogether + i;
      set(to[at], std::bit_cast<float>(std::bit_cast<uint32_t>(number(x[at]) * keep) & stays));
    }
  };
#pragma omp parallel for
  for (int64_t group = 0; group < n / kTogether; ++group) drop_group(group, kTogether);
  if (n % kTogether != 0) drop_group(n / kTogether, n % kTogether);
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
  if (aten_) return {aten::dropout(x_in.x(), p, seed)};
  const at::Tensor x = x_in.x().detach();
  at::Tensor y = empty(x.size(0), x.size(1), is_bf16(x));
  drop(x, p, seed, y);
  if (!learns({x_in.x()})) return {y};
  return {with_backward(y, {x_in.x()}, [p, seed, bf16 = is_bf16(x)](const at::Tensor& grad) {
    const at::Tensor g = converted(grad, bf16);
    at::Tensor grad_x = empty(g.size(0), g.size(1), bf16);
    drop(g, p, seed, grad_x);
    return std::vector<at::Tensor>{grad_x};
  })};
}

}  // namespace volant
