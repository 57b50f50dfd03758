// TorchOps beside NativeOps: the same numbers into every operation give the same numbers out, in f32. What
// the model text says means one thing in training and in serving.
#include <gtest/gtest.h>

#include "base/random.h"
#include "ops/native/native_ops.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using Numbers = std::vector<float>;

class OpParity : public ::testing::Test {
 protected:
  static constexpr int64_t kRows = 23;

  Numbers random_numbers(int64_t n) {
    Numbers x(static_cast<size_t>(n));
    for (float& v : x) v = static_cast<float>(random_.normal());
    return x;
  }
  NativeWeight native_weight(const Numbers& numbers, std::vector<int64_t> shape) {
    return NativeWeight::load({DType::kF32, std::move(shape), std::as_bytes(std::span(numbers))}, pool_)
        .value();
  }
  TorchOps::Weight torch_weight(const Numbers& numbers, const std::vector<int64_t>& shape) {
    TorchOps::Weight w = TorchOps::make_weight(shape);
    std::copy(numbers.begin(), numbers.end(), w->values());
    return w;
  }
  NativeAct native_act(const Numbers& numbers) {
    const auto columns = static_cast<int64_t>(numbers.size()) / kRows;
    std::vector<int32_t> ids(kRows);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
    return native_.embed(native_weight(numbers, {kRows, columns}), ids);
  }
  TorchOps::Act torch_act(const Numbers& numbers) { return TorchOps::make_act(numbers, kRows, false); }

  void expect_same(const NativeAct& native, const TorchOps::Act& torch) {
    const auto expected = native.numbers();
    ASSERT_EQ(static_cast<int64_t>(expected.size()), torch.x().numel());
    const Numbers got = TorchOps::numbers(torch);
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], 2e-5F * (1 + std::abs(expected[i]))) << "number " << i;
  }

  Batch batch() const {
    return {.tokens = pos_, .pos = pos_, .seq_begin = seq_begin_, .kv_slot = {}, .out_rows = {}};
  }

  ThreadPool pool_{2};
  NativeOps native_{pool_, nullptr};
  TorchOps torch_{/*bf16=*/false, /*record=*/false};
  Random random_{5};
  std::vector<int32_t> pos_{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0, 1, 2, 3, 4, 5, 6, 0};
  std::vector<int32_t> seq_begin_{0, 15, 22, 23};
};

TEST_F(OpParity, Embed) {
  const Numbers w = random_numbers(int64_t{9} * 40);
  const std::vector<int32_t> ids{8, 0, 3, 3};
  expect_same(native_.embed(native_weight(w, {9, 40}), ids), torch_.embed(torch_weight(w, {9, 40}), ids));
}

TEST_F(OpParity, Linear) {
  const Numbers w = random_numbers(int64_t{50} * 40), x = random_numbers(kRows * 40);
  expect_same(native_.linear(native_act(x), native_weight(w, {50, 40})),
              torch_.linear(torch_act(x), torch_weight(w, {50, 40})));
}

TEST_F(OpParity, RmsNorm) {
  const Numbers w = random_numbers(40), x = random_numbers(kRows * 40);
  expect_same(native_.rms_norm(native_act(x), native_weight(w, {40}), 1e-5F),
              torch_.rms_norm(torch_act(x), torch_weight(w, {40}), 1e-5F));
}

TEST_F(OpParity, RmsNormOfHeadsWithAnOffset) {
  const Numbers w = random_numbers(10), x = random_numbers(kRows * 40);
  expect_same(native_.rms_norm(native_act(x), native_weight(w, {10}), 1e-5F, 1.0F),
              torch_.rms_norm(torch_act(x), torch_weight(w, {10}), 1e-5F, 1.0F));
}

TEST_F(OpParity, LayerNorm) {
  const Numbers w = random_numbers(41), b = random_numbers(41), x = random_numbers(kRows * 41);
  const NativeWeight native_b = native_weight(b, {41});
  const TorchOps::Weight torch_b = torch_weight(b, {41});
  expect_same(native_.layer_norm(native_act(x), native_weight(w, {41}), &native_b, 1e-5F),
              torch_.layer_norm(torch_act(x), torch_weight(w, {41}), &torch_b, 1e-5F));
  expect_same(native_.layer_norm(native_act(x), native_weight(w, {41}), nullptr, 1e-5F),
              torch_.layer_norm(torch_act(x), torch_weight(w, {41}), nullptr, 1e-5F));
}

TEST_F(OpParity, AddBias) {
  const Numbers b = random_numbers(33), x = random_numbers(kRows * 33);
  expect_same(native_.add_bias(native_act(x), native_weight(b, {33})),
              torch_.add_bias(torch_act(x), torch_weight(b, {33})));
}

TEST_F(OpParity, GeluOfBothKinds) {
  const Numbers a = random_numbers(kRows * 33), b = random_numbers(kRows * 33);
  for (const Gelu kind : {Gelu::kErf, Gelu::kTanh}) {
    expect_same(native_.gelu(native_act(a), kind), torch_.gelu(torch_act(a), kind));
    expect_same(native_.gelu_mul(native_act(a), native_act(b), kind),
                torch_.gelu_mul(torch_act(a), torch_act(b), kind));
  }
}

TEST_F(OpParity, SoftcapAndScale) {
  const Numbers x = random_numbers(kRows * 33);
  expect_same(native_.softcap(native_act(x), 0.8F), torch_.softcap(torch_act(x), 0.8F));
  expect_same(native_.scale(native_act(x), 0.8F), torch_.scale(torch_act(x), 0.8F));
}

TEST_F(OpParity, TakeColumns) {
  const Numbers x = random_numbers(kRows * 33);
  expect_same(native_.take_columns(native_act(x), 5, 17), torch_.take_columns(torch_act(x), 5, 17));
}

TEST_F(OpParity, RopeOfPartOfAHead) {
  const RopeSpec spec{.n_head = 3, .head_dim = 8, .inv_freq = {1.0F, 0.31F, 0.1F}, .scale = 1.3F};
  const Numbers x = random_numbers(kRows * 24);
  expect_same(native_.rope(native_act(x), batch(), spec), torch_.rope(torch_act(x), batch(), spec));
}

TEST_F(OpParity, AttentionWithAWindowASoftcapOrWithoutOrder) {
  const Numbers q = random_numbers(kRows * 64), k = random_numbers(kRows * 32),
                v = random_numbers(kRows * 32);
  for (const auto& [window, softcap, causal] :
       {std::tuple{4, 0.0F, true}, {0, 1.5F, true}, {6, 2.0F, true}, {0, 0.0F, false}}) {
    const AttentionSpec spec{.layer = 0,
                             .n_head = 4,
                             .n_kv_head = 2,
                             .head_dim = 16,
                             .scale = 0.25F,
                             .softcap = softcap,
                             .window = window,
                             .causal = causal};
    expect_same(native_.attention(native_act(q), native_act(k), native_act(v), batch(), spec),
                torch_.attention(torch_act(q), torch_act(k), torch_act(v), batch(), spec));
  }
}

TEST_F(OpParity, Rope) {
  const RopeSpec spec{.n_head = 3, .head_dim = 8, .inv_freq = {1.0F, 0.31F, 0.1F, 0.01F}};
  const Numbers x = random_numbers(kRows * 24);
  expect_same(native_.rope(native_act(x), batch(), spec), torch_.rope(torch_act(x), batch(), spec));
}

TEST_F(OpParity, Attention) {
  const AttentionSpec spec{.layer = 0, .n_head = 4, .n_kv_head = 2, .head_dim = 16, .scale = 0.25F};
  const Numbers q = random_numbers(kRows * 64), k = random_numbers(kRows * 32),
                v = random_numbers(kRows * 32);
  expect_same(native_.attention(native_act(q), native_act(k), native_act(v), batch(), spec),
              torch_.attention(torch_act(q), torch_act(k), torch_act(v), batch(), spec));
}

TEST_F(OpParity, SiluMul) {
  const Numbers a = random_numbers(kRows * 33), b = random_numbers(kRows * 33);
  expect_same(native_.silu_mul(native_act(a), native_act(b)), torch_.silu_mul(torch_act(a), torch_act(b)));
}

TEST_F(OpParity, Add) {
  const Numbers a = random_numbers(kRows * 33), b = random_numbers(kRows * 33);
  expect_same(native_.add(native_act(a), native_act(b)), torch_.add(torch_act(a), torch_act(b)));
}

TEST_F(OpParity, TakeRows) {
  const Numbers x = random_numbers(kRows * 33);
  const std::vector<int32_t> rows{0, 14, 22};
  expect_same(native_.take_rows(native_act(x), rows), torch_.take_rows(torch_act(x), rows));
}

}  // namespace
}  // namespace volant
