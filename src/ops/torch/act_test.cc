// Activations that wait: products that take in their bias, GELU and residual, and columns that are read where
// they lie, have the gradients of the same operations in f32, one by one.
#include "ops/torch/act.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "ops/torch/gradient_check.h"

namespace volant {
namespace {

using testing::Act;
using testing::Numbers;
using testing::random_numbers;
using testing::random_weight;
using testing::Weight;

constexpr int64_t kRows = 70, kWidth = 48, kInner = 80;
constexpr size_t kN = kRows * kWidth;
const std::vector<int32_t> kSeqBegin = {0, 31, 32, 70};

// The parts of a layer, and one more use of what GELU gave.
struct Layer {
  Weight qkv = random_weight({3 * kWidth, kWidth}, 1), qkv_bias = random_weight({3 * kWidth}, 2);
  Weight out = random_weight({kWidth, kWidth}, 3), out_bias = random_weight({kWidth}, 4);
  Weight up = random_weight({kInner, kWidth}, 5), up_bias = random_weight({kInner}, 6);
  Weight down = random_weight({kWidth, kInner}, 7), down_bias = random_weight({kWidth}, 8);
  Weight aside = random_weight({kWidth, kInner}, 9);

  std::vector<Weight> all() const {
    return {qkv, qkv_bias, out, out_bias, up, up_bias, down, down_bias, aside};
  }
  void zero_gradients() const {
    for (const Weight& w : all()) w->grad.zero_();
  }
};

Act layer_of(TorchOps& ops, const Layer& l, const Act& x, Gelu kind) {
  const std::vector<int32_t> pos(static_cast<size_t>(kRows));
  const Batch batch{.tokens = pos, .pos = pos, .seq_begin = kSeqBegin, .kv_slot = {}, .out_rows = {}};
  const AttentionSpec spec{.n_head = 3, .n_kv_head = 3, .head_dim = 16, .scale = 0.1F};
  const Act qkv = ops.scale(ops.add_bias(ops.linear(x, l.qkv), l.qkv_bias), 0.25F);
  const Act mixed = ops.attention(ops.take_columns(qkv, 0, kWidth), ops.take_columns(qkv, kWidth, kWidth),
                                  ops.take_columns(qkv, 2 * kWidth, kWidth), batch, spec);
  const Act y = ops.add(x, ops.add_bias(ops.linear(mixed, l.out), l.out_bias));
  const Act h = ops.gelu(ops.add_bias(ops.linear(ops.scale(y, 0.1F), l.up), l.up_bias), kind);
  const Act z = ops.add(y, ops.add_bias(ops.linear(h, l.down), l.down_bias));
  return ops.add(z, ops.linear(h, l.aside));
}

struct Result {
  std::vector<Numbers> numbers;  // the output, its gradient by x, and by each weight
};
Result run(const Layer& layer, bool bf16, Gelu kind) {
  layer.zero_gradients();
  TorchOps ops(bf16, /*record=*/true);
  const Act x = TorchOps::make_act(random_numbers(kN, 20), kRows, true);
  const Act y = layer_of(ops, layer, x, kind);
  const Act weights = TorchOps::make_act(random_numbers(kN, 21), kRows, false);
  torch_ops::run_backward(y.x().mul(weights.x()).sum());
  Result result{{TorchOps::numbers(y), TorchOps::numbers({x.x().grad()})}};
  for (const Weight& w : layer.all())
    result.numbers.emplace_back(w->gradient(), w->gradient() + w->grad.numel());
  return result;
}

// |a - b| / |b|.
double distance(const Numbers& a, const Numbers& b) {
  double apart = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    apart += (x - y) * (x - y), size += y * y;
  }
  return std::sqrt(apart / size);
}

TEST(TorchAct, ALayerOfWaitingProductsHasTheGradientsOfF32) {
  const Layer layer;
  for (const Gelu kind : {Gelu::kTanh, Gelu::kErf}) {
    const Result expected = run(layer, false, kind), got = run(layer, true, kind);
    ASSERT_EQ(got.numbers.size(), expected.numbers.size());
    for (size_t i = 0; i < got.numbers.size(); ++i) {
      ASSERT_EQ(got.numbers[i].size(), expected.numbers[i].size());
      EXPECT_LT(distance(got.numbers[i], expected.numbers[i]), 0.02) << "number " << i;
    }
  }
}

TEST(TorchAct, IsMadeWhenItIsReadAndOnlyThen) {
  if (!torch_ops::multiplies_pairs()) GTEST_SKIP() << "products are oneDNN's here";
  const Layer layer;
  TorchOps ops(/*bf16=*/true, /*record=*/true);
  const Act x = TorchOps::make_act(random_numbers(kN, 20), kRows, true);
  const Act product = ops.linear(x, layer.up),
            h = ops.gelu(ops.add_bias(product, layer.up_bias), Gelu::kTanh);
  ASSERT_NE(h.open_product(), nullptr);
  EXPECT_EQ(h.open_product()->bias, layer.up_bias);
  EXPECT_EQ(h.gelu_of(), nullptr);
  EXPECT_TRUE(h.x().requires_grad());
  EXPECT_EQ(h.open_product(), nullptr);
  EXPECT_NE(h.gelu_of(), nullptr);
  EXPECT_NE(product.open_product(), nullptr) << "it is not what its followers are";
  EXPECT_EQ(product.x().size(1), kInner);
}

TEST(TorchAct, OfColumnsWithoutAttentionAreCopies) {
  TorchOps ops(/*bf16=*/false, /*record=*/true);
  const Act x = TorchOps::make_act(random_numbers(kN, 20), kRows, true);
  const Act part = ops.take_columns(x, 5, 7);
  ASSERT_NE(part.columns(), nullptr);
  const Numbers all = TorchOps::numbers(x), some = TorchOps::numbers(part);
  for (size_t t = 0; t < kRows; ++t)
    for (size_t i = 0; i < 7; ++i) EXPECT_EQ(some[t * 7 + i], all[t * kWidth + 5 + i]);
  torch_ops::run_backward(part.x().sum());
  const Numbers grad = TorchOps::numbers({x.x().grad()});
  for (size_t t = 0; t < kRows; ++t)
    for (size_t i = 0; i < kWidth; ++i) EXPECT_EQ(grad[t * kWidth + i], i >= 5 && i < 12 ? 1.0F : 0.0F);
}

}  // namespace
}  // namespace volant
