// Memory that goes and comes while tensors stay: what the graph keeps of a weight for the backward pass is
// what stands there then, in f32 and in its copy in bf16; gradients come again as zeros.
#include "ops/torch/block.h"

#include <gtest/gtest.h>

#include "ops/torch/gradient_check.h"
#include "ops/torch/parameter.h"

namespace volant {
namespace {

using testing::Act;
using testing::Numbers;
using testing::random_numbers;

constexpr int64_t kRows = 5, kIn = 16, kOut = 8;
constexpr size_t kBegin = 32;  // of the weight in its block

struct Placed {
  torch_ops::Block values{kBegin + kIn * kOut, TorchBackend::kAten};
  std::shared_ptr<torch_ops::Block> gradients =
      std::make_shared<torch_ops::Block>(kBegin + kIn * kOut, TorchBackend::kAten);
  std::shared_ptr<TorchParameter> weight = make_unplaced_parameter({kOut, kIn}, TorchBackend::kAten);
  Placed() {
    weight->place(values, gradients, kBegin);
    weight->write(random_numbers(kIn * kOut, 1));
  }
};

struct Outcome {
  Numbers grad_x, grad_w;
};

// The gradients of a product with the weight; `between` is called after the forward pass.
template <class F>
Outcome gradients_of(const Placed& p, bool bf16, F&& between) {
  TorchOps ops(bf16, /*record=*/true, TorchBackend::kAten);
  const Act x = TorchOps::make_act(random_numbers(kRows * kIn, 2), kRows, true);
  const Act y = ops.linear(x, p.weight);
  between();
  torch_ops::run_backward(TorchOps::with_gradient(y, random_numbers(kRows * kOut, 3)));
  return {TorchOps::numbers({x.x().grad()}), TorchOps::numbers({p.weight->grad})};
}

TEST(Block, AWeightThatWentAndCameIsReadInTheBackwardPass) {
  for (const bool bf16 : {false, true}) {
    const Placed stayed;
    Placed went;
    const Numbers numbers = went.weight->read();
    const Outcome want = gradients_of(stayed, bf16, [] {});
    const auto go_and_come = [&](float factor) {
      went.weight->drop_copies();
      went.values.free();
      EXPECT_FALSE(went.values.here());
      EXPECT_EQ(went.values.numbers().data(), nullptr);
      went.values.make();
      for (size_t i = 0; i < numbers.size(); ++i) went.values.numbers()[kBegin + i] = factor * numbers[i];
      went.weight->numbers_came();
    };
    const Outcome got = gradients_of(went, bf16, [&] { go_and_come(1); });
    EXPECT_EQ(got.grad_x, want.grad_x);
    EXPECT_EQ(got.grad_w, want.grad_w);
    // It is what stands there now, not what stood there in the forward pass.
    const Outcome twice = gradients_of(went, bf16, [&] { go_and_come(2); });
    for (size_t i = 0; i < want.grad_x.size(); ++i) EXPECT_EQ(twice.grad_x[i], 2 * want.grad_x[i]);
  }
}

TEST(Block, GradientsComeAgainAsZeros) {
  Placed p;
  const Outcome first = gradients_of(p, false, [] {});
  const Outcome second = gradients_of(p, false, [&] { p.gradients->free(); });
  EXPECT_TRUE(p.gradients->here());
  EXPECT_EQ(second.grad_w, first.grad_w);
  const Outcome third = gradients_of(p, false, [] {});
  for (size_t i = 0; i < third.grad_w.size(); ++i) EXPECT_EQ(third.grad_w[i], 2 * first.grad_w[i]);
}

}  // namespace
}  // namespace volant
