// The operations in libtorch's words, which a GPU runs, beside the kernels of the CPU: values and gradients
// of every operation of the decoder families, in f32 and in bf16, and the steps of optimisers.
#include <gtest/gtest.h>

#include "ops/torch/adapter.h"
#include "ops/torch/gradient_check.h"
#include "ops/torch/steps.h"

namespace volant {
namespace {

using testing::Act;
using testing::Argument;
using testing::Call;
using testing::Numbers;
using testing::random_numbers;
using testing::random_weight;
using testing::Weight;

// Sequences of 5, 3, 1 and 4 rows: one call of attention for the first, one for each other length rounded up.
const std::vector<int32_t> kPos = {0, 1, 2, 3, 4, 0, 1, 2, 0, 0, 1, 2, 3};
const std::vector<int32_t> kSeqBegin = {0, 5, 8, 9, 13};
constexpr int64_t kRows = 13;
Batch batch_of(const std::vector<int32_t>& seq_begin = kSeqBegin) {
  return {.tokens = kPos, .pos = kPos, .seq_begin = seq_begin, .kv_slot = {}, .out_rows = {}};
}
Argument rows_of(int64_t columns, uint64_t seed) {
  return {random_numbers(static_cast<size_t>(kRows * columns), seed), kRows};
}

struct Outcome {
  Numbers y;
  std::vector<Numbers> gradients;  // of the arguments, then of the weights
};

Outcome result_of(TorchBackend backend, bool bf16, const Call& call, const std::vector<Argument>& arguments,
                  const std::vector<Weight>& weights) {
  for (const Weight& w : weights) w->grad.zero_();
  TorchOps ops(bf16, true, backend);
  std::vector<Act> acts;
  for (const Argument& a : arguments) acts.push_back(TorchOps::make_act(a.values, a.rows, true));
  const Act y = call(ops, acts);
  Outcome result{TorchOps::numbers(y), {}};
  torch_ops::run_backward(TorchOps::with_gradient(y, random_numbers(result.y.size(), 99)));
  for (const Act& x : acts) result.gradients.push_back(TorchOps::numbers({x.x().grad()}));
  for (const Weight& w : weights) result.gradients.push_back(TorchOps::numbers({w->grad}));
  return result;
}

void expect_near(const Numbers& got, const Numbers& expected, double bound, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double largest = 0;
  for (const float x : expected) largest = std::max(largest, std::abs(static_cast<double>(x)));
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], bound * (0.1 + largest)) << what << ", number " << i;
}

void expect_same(const Call& call, const std::vector<Argument>& arguments,
                 const std::vector<Weight>& weights = {}) {
  for (const bool bf16 : {false, true}) {
    SCOPED_TRACE(bf16 ? "bf16" : "f32");
    const double bound = bf16 ? 0.02 : 2e-5;
    const Outcome expected = result_of(TorchBackend::kKernels, bf16, call, arguments, weights),
                  got = result_of(TorchBackend::kAten, bf16, call, arguments, weights);
    expect_near(got.y, expected.y, bound, "value");
    for (size_t i = 0; i < got.gradients.size(); ++i)
      expect_near(got.gradients[i], expected.gradients[i], bound, "gradient " + std::to_string(i));
  }
}

TEST(Aten, EmbeddingsWithARepeatedToken) {
  const Weight w = random_weight({7, 21}, 1);
  const std::vector<int32_t> ids = {3, 0, 3, 6};
  expect_same([&](TorchOps& ops, const std::vector<Act>&) { return ops.embed(w, ids); }, {}, {w});
}

TEST(Aten, Products) {
  const Weight w = random_weight({13, 21}, 1), b = random_weight({13}, 2);
  expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.add_bias(ops.linear(x[0], w), b); },
              {rows_of(21, 3)}, {w, b});
}

TEST(Aten, ProductsWithLoraAndDora) {
  for (const bool dora : {false, true}) {
    const Weight w = make_parameter({13, 21}, /*trained=*/false), a = random_weight({4, 21}, 2),
                 b = random_weight({13, 4}, 3), magnitude = random_weight({13}, 4);
    w->write(random_numbers(size_t{13} * 21, 1));
    w->adapter = std::make_unique<TorchAdapter>();
    w->adapter->a = a;
    w->adapter->b = b;
    w->adapter->scale = 0.5F;
    if (dora) w->adapter->magnitude = magnitude;
    std::vector<Weight> weights = {a, b};
    if (dora) weights.push_back(magnitude);
    expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.linear(x[0], w); },
                {rows_of(21, 5)}, weights);
    // The norms that DoRA divides by, each by its own way.
    const std::vector<float> norms = w->adapter->norms(*w);
    expect_near(torch_ops::aten::adapted_norms(*w), norms, 1e-5, "norms");
  }
}

TEST(Aten, Norms) {
  const Weight w = random_weight({20}, 1), b = random_weight({20}, 2);
  expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.rms_norm(x[0], w, 1e-5F, 1.0F); },
              {rows_of(40, 3)}, {w});
  expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.layer_norm(x[0], w, &b, 1e-5F); },
              {rows_of(20, 3)}, {w, b});
  expect_same(
      [&](TorchOps& ops, const std::vector<Act>& x) { return ops.layer_norm(x[0], w, nullptr, 1e-5F); },
      {rows_of(20, 3)}, {w});
}

TEST(Aten, RopeOfAWholeHeadAndOfAPart) {
  for (const std::vector<float>& inv_freq : {std::vector{1.0F, 0.3F, 0.1F, 0.01F}, {1.0F, 0.3F, 0.1F}}) {
    const RopeSpec spec{.n_head = 3, .head_dim = 8, .inv_freq = inv_freq, .scale = 1.2F};
    expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.rope(x[0], batch_of(), spec); },
                {rows_of(24, 3)});
  }
}

TEST(Aten, AttentionOfPackedSequences) {
  const std::vector<int32_t> one = {0, 13};
  for (const auto& [n_head, n_kv_head, window, softcap, causal] : {std::tuple{4, 4, 0, 0.0F, true},
                                                                   {4, 2, 0, 0.0F, true},
                                                                   {4, 1, 2, 0.0F, true},
                                                                   {2, 2, 0, 0.8F, true},
                                                                   {4, 2, 3, 1.5F, true},
                                                                   {2, 2, 0, 0.0F, false},
                                                                   {2, 2, 0, 1.0F, false}})
    for (const auto& seq_begin : {kSeqBegin, one}) {
      SCOPED_TRACE(fmt::format("{} of {} heads, window {}, softcap {}, {} sequences", n_kv_head, n_head,
                               window, softcap, seq_begin.size() - 1));
      const AttentionSpec spec{.layer = 0,
                               .n_head = n_head,
                               .n_kv_head = n_kv_head,
                               .head_dim = 8,
                               .scale = 0.4F,
                               .softcap = softcap,
                               .window = window,
                               .causal = causal};
      expect_same(
          [&](TorchOps& ops, const std::vector<Act>& x) {
            return ops.attention(x[0], x[1], x[2], batch_of(seq_begin), spec);
          },
          {rows_of(int64_t{n_head} * 8, 2), rows_of(int64_t{n_kv_head} * 8, 3),
           rows_of(int64_t{n_kv_head} * 8, 4)});
    }
}

TEST(Aten, SequencesOfOneLengthShareOneCallOfAttention) {
  const Act x = TorchOps::make_act(Numbers(12), 12, false);
  const std::vector<int32_t> even = {0, 4, 8, 12}, ragged = {0, 3, 7, 12};
  const auto together = torch_ops::aten::attention_plan(x.x(), even, true);
  ASSERT_EQ(together.groups.size(), 1U);
  EXPECT_FALSE(together.back.defined());
  EXPECT_EQ(together.groups[0].length, 4);
  EXPECT_EQ(torch_ops::aten::attention_plan(x.x(), ragged, true).groups.size(), 2U) << "3 and 4; 5";
  EXPECT_EQ(torch_ops::aten::attention_plan(x.x(), ragged, false).groups.size(), 3U);
}

TEST(Aten, Activations) {
  for (const Gelu kind : {Gelu::kErf, Gelu::kTanh}) {
    expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.gelu(x[0], kind); },
                {rows_of(19, 2)});
    expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.gelu_mul(x[0], x[1], kind); },
                {rows_of(19, 2), rows_of(19, 3)});
  }
  expect_same([&](TorchOps& ops, const std::vector<Act>& x) { return ops.silu_mul(x[0], x[1]); },
              {rows_of(19, 2), rows_of(19, 3)});
  expect_same(
      [&](TorchOps& ops, const std::vector<Act>& x) { return ops.scale(ops.softcap(x[0], 0.8F), 3.5F); },
      {rows_of(19, 2)});
}

TEST(Aten, RowsAndColumns) {
  const std::vector<int32_t> some = {0, 2, 8};
  expect_same(
      [&](TorchOps& ops, const std::vector<Act>& x) {
        const Act sum = ops.add(ops.take_columns(x[0], 2, 7), ops.take_columns(x[0], 14, 7));
        return ops.take_rows(sum, some);
      },
      {rows_of(21, 2)});
}

TEST(Aten, Experts) {
  const Weight router = random_weight({5, 12}, 1), w = random_weight({12, 12}, 2);
  for (const auto weight :
       {RouteSpec::Weight::kShare, RouteSpec::Weight::kShareOfChosen, RouteSpec::Weight::kSigmoid}) {
    const RouteSpec spec{.n_expert = 5, .top_k = 2, .weight = weight};
    const auto call = [&](TorchOps& ops, const std::vector<Act>& x) {
      const TorchOps::Routing routing = ops.route(ops.linear(x[0], router), spec);
      std::vector<Act> parts(5);
      for (int e = 0; e < 5; ++e)
        if (!routing.rows_of(e).empty())
          parts[static_cast<size_t>(e)] =
              ops.scale(ops.linear(ops.take_rows(x[0], routing.rows_of(e)), w), static_cast<float>(e));
      return ops.combine(parts, routing);
    };
    expect_same(call, {rows_of(12, 3)}, {router, w});
  }
}

// Both kinds of loss of the head, with all that a head may have, by rows enough for two chunks.
TEST(Aten, LossesOfTheHead) {
  constexpr int64_t kManyRows = 300, kColumns = 12, kVocab = 45;
  const Weight w = random_weight({kVocab, kColumns}, 1), bias = random_weight({kVocab}, 5),
               his = random_weight({kVocab, kColumns}, 7);
  const LmHead<Weight> head{.weight = &w, .bias = &bias, .scale = 0.7F, .softcap = 0.9F},
      his_head{.weight = &his};
  const Numbers values = random_numbers(kManyRows * kColumns, 2),
                his_values = random_numbers(values.size(), 8);
  std::vector<int32_t> targets(kManyRows), begin{0, kManyRows};
  Numbers weights(kManyRows);
  for (size_t t = 0; t < kManyRows; ++t) {
    targets[t] = static_cast<int32_t>(t * 7 % kVocab);
    weights[t] = t % 4 == 0 ? 0.0F : 0.25F * static_cast<float>(t % 4);
  }
  const Batch batch{.tokens = targets, .pos = targets, .seq_begin = begin, .kv_slot = {}, .out_rows = {}};
  struct Losses {
    std::vector<double> numbers;
    std::vector<Numbers> gradients;
  };
  const auto losses_of = [&](TorchBackend backend, bool distil) {
    w->grad.zero_();
    bias->grad.zero_();
    TorchOps ops(false, true, backend);
    ops.regularise({.label_smoothing = 0.1F, .z_loss = 0.05F}, batch, 1);
    const Act x = TorchOps::make_act(values, kManyRows, true),
              his_x = TorchOps::make_act(his_values, kManyRows, false);
    Losses losses;
    at::Tensor node;
    if (distil) {
      const auto loss = ops.distil_loss(x, head, his_x, his_head, targets, weights,
                                        {.temperature = 2, .alpha = 0.3F, .top_k = 9}, 1.5F);
      losses.numbers = {loss.hard, loss.soft};
      node = loss.node;
    } else {
      losses.numbers.resize(kManyRows);
      const auto loss = ops.head_loss(x, head, targets, weights, 1.5F, losses.numbers);
      losses.numbers.push_back(loss.sum);
      node = loss.node;
    }
    torch_ops::run_backward(node);
    losses.gradients = {TorchOps::numbers({x.x().grad()}), TorchOps::numbers({w->grad}),
                        TorchOps::numbers({bias->grad})};
    return losses;
  };
  for (const bool distil : {false, true}) {
    const Losses expected = losses_of(TorchBackend::kKernels, distil),
                 got = losses_of(TorchBackend::kAten, distil);
    for (size_t i = 0; i < expected.numbers.size(); ++i)
      EXPECT_NEAR(got.numbers[i], expected.numbers[i], 1e-4 * (1 + std::abs(expected.numbers[i]))) << i;
    for (size_t i = 0; i < 3; ++i)
      expect_near(got.gradients[i], expected.gradients[i], 2e-5, "gradient " + std::to_string(i));
  }
}

TEST(Aten, StepsOfOptimisersAndTheNorm) {
  using torch_ops::steps;
  constexpr size_t kN = 37;
  const auto after = [&](TorchBackend backend, int rule) {
    Numbers w = random_numbers(kN, 1), m(kN), v(kN);
    for (int64_t step = 1; step <= 3; ++step) {
      Numbers g = random_numbers(kN, 10 + static_cast<uint64_t>(step));
      if (rule < 2)
        steps(backend).adamw({.n = kN,
                              .w = w.data(),
                              .g = g.data(),
                              .m = m.data(),
                              .v = v.data(),
                              .step = step,
                              .gradient_scale = 0.5,
                              .beta1 = 0.9,
                              .beta2 = 0.95,
                              .eps = 1e-8,
                              .lr = 0.01,
                              .decay = 0.1,
                              .decoupled = rule == 0});
      if (rule == 2)
        steps(backend).lion({.n = kN,
                             .w = w.data(),
                             .g = g.data(),
                             .m = m.data(),
                             .gradient_scale = 0.5F,
                             .beta1 = 0.9F,
                             .beta2 = 0.95F,
                             .lr = 0.01F,
                             .keep = 0.99F});
      if (rule > 2)
        steps(backend).sgd({.n = kN,
                            .w = w.data(),
                            .g = g.data(),
                            .m = m.data(),
                            .gradient_scale = 0.5F,
                            .momentum = 0.9F,
                            .lr = 0.01F,
                            .keep = 0.99F,
                            .nesterov = rule == 3});
      EXPECT_EQ(g, Numbers(kN)) << "gradients are zeros again";
    }
    w.insert(w.end(), m.begin(), m.end());
    w.insert(w.end(), v.begin(), v.end());
    return w;
  };
  for (int rule = 0; rule < 5; ++rule)
    expect_near(after(TorchBackend::kAten, rule), after(TorchBackend::kKernels, rule), 1e-6,
                "rule " + std::to_string(rule));
  const Numbers a = random_numbers(40, 1), b = random_numbers(7, 2);
  const std::vector<std::span<const float>> parts = {a, b};
  EXPECT_NEAR(steps(TorchBackend::kAten).sum_of_squares(parts),
              steps(TorchBackend::kKernels).sum_of_squares(parts), 1e-5);
}

TEST(Aten, ADeviceThatIsNotThereIsRefused) {
  const auto wrong = backend_of_device("gpu");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("\"cuda\""), std::string::npos) << wrong.error().message;
  EXPECT_EQ(backend_of_device("cpu").value(), TorchBackend::kKernels);
}

}  // namespace
}  // namespace volant
