// For tests of TorchOps: gradients of an operation against central differences of its own forward pass, in
// f32; and the same operation in bf16 close to f32.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "ops/torch/autograd.h"
#include "ops/torch/torch_ops.h"

namespace volant::testing {

using Act = TorchOps::Act;
using Weight = TorchOps::Weight;
using Numbers = std::vector<float>;

inline Numbers random_numbers(size_t n, uint64_t seed) {
  Random random(seed);
  Numbers x(n);
  for (float& v : x) v = static_cast<float>(random.normal() * 0.7);
  return x;
}

inline Weight random_weight(const std::vector<int64_t>& shape, uint64_t seed) {
  Weight w = TorchOps::make_weight(shape);
  const Numbers x = random_numbers(static_cast<size_t>(w->master.numel()), seed);
  std::copy(x.begin(), x.end(), w->values());
  return w;
}

struct Argument {
  Numbers values;
  int64_t rows;
};
using Call = std::function<Act(TorchOps&, const std::vector<Act>&)>;

// Sum of y * r for fixed random r: one number whose gradient reaches every output.
inline double projected(const Call& call, const std::vector<Argument>& arguments, bool bf16) {
  TorchOps ops(bf16, false);
  std::vector<Act> acts;
  for (const Argument& a : arguments) acts.push_back(TorchOps::make_act(a.values, a.rows, false));
  const at::Tensor y = call(ops, acts).x().to(at::kFloat);
  const Numbers r = random_numbers(static_cast<size_t>(y.numel()), 99);
  double sum = 0;
  for (int64_t i = 0; i < y.numel(); ++i)
    sum += static_cast<double>(y.data_ptr<float>()[i]) * static_cast<double>(r[static_cast<size_t>(i)]);
  return sum;
}

inline void expect_close(double got, double expected, const std::string& what) {
  EXPECT_NEAR(got, expected, 2e-3 + 1e-2 * std::abs(expected)) << what;
}

inline void check_gradients(const Call& call, std::vector<Argument> arguments,
                            const std::vector<Weight>& weights) {
  constexpr float kStep = 1e-2F;
  TorchOps ops(false, true);
  std::vector<Act> acts;
  for (const Argument& a : arguments) acts.push_back(TorchOps::make_act(a.values, a.rows, true));
  const at::Tensor y = call(ops, acts).x();
  const Numbers r = random_numbers(static_cast<size_t>(y.numel()), 99);
  torch_ops::run_backward(y.mul(TorchOps::make_act(r, y.size(0), false).x()).sum());

  for (size_t a = 0; a < arguments.size(); ++a) {
    const at::Tensor gradient = acts[a].x().grad();
    ASSERT_TRUE(gradient.defined()) << "argument " << a;
    for (size_t i = 0; i < arguments[a].values.size(); i += 3) {
      float& x = arguments[a].values[i];
      const float old = x;
      x = old + kStep;
      const double up = projected(call, arguments, false);
      x = old - kStep;
      const double down = projected(call, arguments, false);
      x = old;
      expect_close(static_cast<double>(gradient.data_ptr<float>()[i]),
                   (up - down) / (2.0 * static_cast<double>(kStep)),
                   "argument " + std::to_string(a) + " number " + std::to_string(i));
    }
  }
  for (const Weight& w : weights)
    for (int64_t i = 0; i < w->master.numel(); i += 5) {
      float& x = w->values()[i];
      const float old = x;
      const auto at = [&](float value) {
        x = value;
        if (w->packed) w->packed->changed();
        return projected(call, arguments, false);
      };
      const double up = at(old + kStep), down = at(old - kStep);
      at(old);
      expect_close(static_cast<double>(w->gradient()[i]), (up - down) / (2.0 * static_cast<double>(kStep)),
                   "weight number " + std::to_string(i));
    }
  EXPECT_NEAR(projected(call, arguments, true), projected(call, arguments, false),
              0.03 * std::sqrt(static_cast<double>(y.numel())))
      << "bf16";
}

}  // namespace volant::testing
