// Every operation of TorchOps: its gradients against central differences of its own forward pass, in f32; and
// the same operation in bf16 close to f32. Shapes include rows and columns that do not fill a vector.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/random.h"
#include "ops/torch/autograd.h"
#include "ops/torch/gradient_check.h"
#include "ops/torch/kernels.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using testing::Act;
using testing::check_gradients;
using testing::expect_close;
using testing::Numbers;
using testing::random_numbers;
using testing::random_weight;
using testing::Weight;

const std::vector<int32_t> kPos = {0, 1, 2, 3, 4, 0, 1, 2, 0};
const std::vector<int32_t> kSeqBegin = {0, 5, 8, 9};
Batch batch_of() {
  return {.tokens = kPos, .pos = kPos, .seq_begin = kSeqBegin, .kv_slot = {}, .out_rows = {}};
}

TEST(TorchOps, EmbedGathersRowsAndScattersGradients) {
  const Weight w = random_weight({7, 21}, 1);
  const std::vector<int32_t> ids = {3, 0, 3, 6};
  check_gradients([&](TorchOps& ops, const std::vector<Act>&) { return ops.embed(w, ids); }, {}, {w});
}

TEST(TorchOps, LinearMatchesDifferences) {
  const Weight w = random_weight({13, 21}, 1);
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.linear(x[0], w); },
                  {{random_numbers(size_t{9} * 21, 2), 9}}, {w});
}

TEST(TorchOps, SquareLinearDoesNotMixItsTwoLayouts) {
  const Weight w = random_weight({16, 16}, 1);
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.linear(x[0], w); },
                  {{random_numbers(size_t{4} * 16, 2), 4}}, {w});
}

TEST(TorchOps, RmsNormMatchesDifferences) {
  const Weight w = random_weight({37}, 1);
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.rms_norm(x[0], w, 1e-5F); },
                  {{random_numbers(size_t{9} * 37, 2), 9}}, {w});
}

TEST(TorchOps, RmsNormOfHeadsWithAnOffsetMatchesDifferences) {
  const Weight w = random_weight({19}, 1);
  check_gradients(
      [&](TorchOps& ops, const std::vector<Act>& x) { return ops.rms_norm(x[0], w, 1e-5F, 1.0F); },
      {{random_numbers(size_t{9} * 57, 2), 9}}, {w});
}

TEST(TorchOps, LayerNormMatchesDifferencesWithAndWithoutBias) {
  const Weight w = random_weight({37}, 1), b = random_weight({37}, 3);
  check_gradients(
      [&](TorchOps& ops, const std::vector<Act>& x) { return ops.layer_norm(x[0], w, &b, 1e-5F); },
      {{random_numbers(size_t{9} * 37, 2), 9}}, {w, b});
  const Weight alone = random_weight({37}, 1);
  check_gradients(
      [&](TorchOps& ops, const std::vector<Act>& x) { return ops.layer_norm(x[0], alone, nullptr, 1e-5F); },
      {{random_numbers(size_t{9} * 37, 2), 9}}, {alone});
}

TEST(TorchOps, AddBiasMatchesDifferences) {
  const Weight b = random_weight({21}, 1);
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.add_bias(x[0], b); },
                  {{random_numbers(size_t{9} * 21, 2), 9}}, {b});
}

TEST(TorchOps, RopeOfPartOfAHeadMatchesDifferences) {
  const RopeSpec spec{.n_head = 3, .head_dim = 8, .inv_freq = {1.0F, 0.3F, 0.1F}, .scale = 1.2F};
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.rope(x[0], batch_of(), spec); },
                  {{random_numbers(size_t{9} * 24, 2), 9}}, {});
}

TEST(TorchOps, RopeMatchesDifferences) {
  const RopeSpec spec{.n_head = 3, .head_dim = 8, .inv_freq = {1.0F, 0.3F, 0.1F, 0.01F}};
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.rope(x[0], batch_of(), spec); },
                  {{random_numbers(size_t{9} * 24, 2), 9}}, {});
}

TEST(TorchOps, AttentionWithAWindowASoftcapOrWithoutOrderMatchesDifferences) {
  for (const auto& [window, softcap, causal] :
       {std::tuple{2, 0.0F, true}, {0, 0.8F, true}, {3, 1.5F, true}, {0, 0.0F, false}, {0, 1.0F, false}}) {
    SCOPED_TRACE(window);
    const AttentionSpec spec{.layer = 0,
                             .n_head = 4,
                             .n_kv_head = 2,
                             .head_dim = 8,
                             .scale = 0.4F,
                             .softcap = softcap,
                             .window = window,
                             .causal = causal};
    check_gradients(
        [&](TorchOps& ops, const std::vector<Act>& x) {
          return ops.attention(x[0], x[1], x[2], batch_of(), spec);
        },
        {{random_numbers(size_t{9} * 32, 2), 9},
         {random_numbers(size_t{9} * 16, 3), 9},
         {random_numbers(size_t{9} * 16, 4), 9}},
        {});
  }
}

TEST(TorchOps, AttentionMatchesDifferencesWithGroupedQueries) {
  for (const auto& [n_head, n_kv_head, d] : {std::tuple{4, 2, 8}, {2, 2, 20}, {3, 1, 16}}) {
    const AttentionSpec spec{
        .layer = 0, .n_head = n_head, .n_kv_head = n_kv_head, .head_dim = d, .scale = 0.4F};
    check_gradients(
        [&](TorchOps& ops, const std::vector<Act>& x) {
          return ops.attention(x[0], x[1], x[2], batch_of(), spec);
        },
        {{random_numbers(static_cast<size_t>(int64_t{9} * n_head * d), 2), 9},
         {random_numbers(static_cast<size_t>(int64_t{9} * n_kv_head * d), 3), 9},
         {random_numbers(static_cast<size_t>(int64_t{9} * n_kv_head * d), 4), 9}},
        {});
  }
}

TEST(TorchOps, GeluMatchesDifferencesAloneAndGated) {
  for (const Gelu kind : {Gelu::kErf, Gelu::kTanh}) {
    check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.gelu(x[0], kind); },
                    {{random_numbers(size_t{9} * 19, 2), 9}}, {});
    check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.gelu_mul(x[0], x[1], kind); },
                    {{random_numbers(size_t{9} * 19, 2), 9}, {random_numbers(size_t{9} * 19, 3), 9}}, {});
  }
}

TEST(TorchOps, SoftcapAndScaleMatchDifferences) {
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.softcap(x[0], 0.8F); },
                  {{random_numbers(size_t{9} * 19, 2), 9}}, {});
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.scale(x[0], 3.5F); },
                  {{random_numbers(size_t{9} * 19, 2), 9}}, {});
}

TEST(TorchOps, TakeColumnsMatchesDifferences) {
  check_gradients(
      [&](TorchOps& ops, const std::vector<Act>& x) {
        return ops.add(ops.take_columns(x[0], 2, 7), ops.take_columns(x[0], 14, 7));
      },
      {{random_numbers(size_t{9} * 21, 2), 9}}, {});
}

TEST(TorchOps, SiluMulMatchesDifferences) {
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.silu_mul(x[0], x[1]); },
                  {{random_numbers(size_t{9} * 19, 2), 9}, {random_numbers(size_t{9} * 19, 3), 9}}, {});
}

TEST(TorchOps, AddMatchesDifferences) {
  check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.add(x[0], x[1]); },
                  {{random_numbers(size_t{9} * 5, 2), 9}, {random_numbers(size_t{9} * 5, 3), 9}}, {});
}

TEST(TorchOps, TakeRowsMatchesDifferences) {
  const std::vector<int32_t> some = {0, 2, 8}, all = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  for (const auto& ids : {some, all})
    check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.take_rows(x[0], ids); },
                    {{random_numbers(size_t{9} * 21, 2), 9}}, {});
}

void check_head_loss(bool with_bias, float head_scale, float softcap) {
  constexpr int64_t kRows = 300, kColumns = 12, kVocab = 45;  // more rows than a chunk, ragged vocabulary
  const Weight w = random_weight({kVocab, kColumns}, 1), bias = random_weight({kVocab}, 5);
  const LmHead<Weight> head{
      .weight = &w, .bias = with_bias ? &bias : nullptr, .scale = head_scale, .softcap = softcap};
  Numbers values = random_numbers(kRows * kColumns, 2);
  std::vector<int32_t> targets(kRows);
  Numbers weights(kRows);
  for (size_t t = 0; t < kRows; ++t) {
    targets[t] = static_cast<int32_t>(t * 7 % kVocab);
    weights[t] = t % 4 == 0 ? 0.0F : 0.25F * static_cast<float>(t % 4);
  }
  const auto loss = [&](bool bf16) {
    w->packed->changed();
    TorchOps ops(bf16, false);
    return ops.head_loss(TorchOps::make_act(values, kRows, false), head, targets, weights, 1.0F).sum;
  };
  TorchOps ops(false, true);
  const Act x = TorchOps::make_act(values, kRows, true);
  std::vector<double> row_losses(kRows);
  const TorchOps::Loss got = ops.head_loss(x, head, targets, weights, 2.0F, row_losses);
  EXPECT_NEAR(got.sum, loss(false), 1e-6);
  EXPECT_NEAR(std::accumulate(row_losses.begin(), row_losses.end(), 0.0), got.sum, 1e-9);
  EXPECT_EQ(row_losses[0], 0.0);
  torch_ops::run_backward(got.node);
  constexpr float kStep = 1e-2F;
  const auto differences = [&](float& number) {
    const float old = number;
    number = old + kStep;
    const double up = loss(false);
    number = old - kStep;
    const double down = loss(false);
    number = old;
    return 2.0 * (up - down) / (2.0 * static_cast<double>(kStep));  // scale is 2
  };
  for (const size_t i : {0UL, 13UL, 40UL, 300UL, 3100UL, 3599UL})
    expect_close(static_cast<double>(x.x().grad().data_ptr<float>()[i]), differences(values[i]), "x");
  for (const int64_t i : {0L, 11L, 100L, 539L})
    expect_close(static_cast<double>(w->gradient()[i]), differences(w->values()[i]), "head");
  if (with_bias)
    for (const int64_t i : {0L, 20L, 44L})
      expect_close(static_cast<double>(bias->gradient()[i]), differences(bias->values()[i]), "bias");
  EXPECT_NEAR(loss(true), loss(false), 0.01 * loss(false));
}

TEST(TorchOps, HeadLossAndItsGradientsMatchDifferences) { check_head_loss(false, 1, 0); }
TEST(TorchOps, HeadLossWithBiasScaleAndSoftcapMatchesDifferences) {
  check_head_loss(true, 1, 0);
  check_head_loss(false, 0.5F, 0);
  check_head_loss(true, 0.7F, 0.9F);
}

// Each row's loss from the logits that Model::output would give.
TEST(TorchOps, HeadLossIsTheCrossEntropyOfTheCappedLogits) {
  const Weight w = random_weight({45, 12}, 1), bias = random_weight({45}, 5);
  const Act x = TorchOps::make_act(random_numbers(size_t{4} * 12, 2), 4, false);
  TorchOps ops(false, false);
  const Act logits = ops.softcap(ops.scale(ops.add_bias(ops.linear(x, w), bias), 0.7F), 0.9F);
  const Numbers numbers = TorchOps::numbers(logits);
  const std::vector<int32_t> targets = {3, 44, 0, 7};
  std::vector<double> row_losses(4);
  ops.head_loss(x, {.weight = &w, .bias = &bias, .scale = 0.7F, .softcap = 0.9F}, targets, Numbers(4, 1.0F),
                1, row_losses);
  for (size_t t = 0; t < 4; ++t) {
    double total = 0;
    for (size_t i = 0; i < 45; ++i) total += std::exp(static_cast<double>(numbers[t * 45 + i]));
    const double at = static_cast<double>(numbers[t * 45 + static_cast<size_t>(targets[t])]);
    EXPECT_NEAR(row_losses[t], std::log(total) - at, 1e-5);
  }
}

TEST(TorchOps, SmoothedLabelsAndZLossEqualAPlainReferenceAndItsDifferences) {
  constexpr int64_t kRows = 3, kColumns = 10, kVocab = 21;
  constexpr double kSmooth = 0.1, kZ = 0.05;
  const Weight w = random_weight({kVocab, kColumns}, 1);
  Numbers values = random_numbers(kRows * kColumns, 2);
  const std::vector<int32_t> tokens{0, 1, 2}, targets{4, 20, 0}, begin{0, 3};
  const Numbers weights{1.0F, 0.5F, 2.0F};
  const Batch batch{.tokens = tokens, .pos = tokens, .seq_begin = begin, .kv_slot = {}, .out_rows = tokens};
  const auto reference = [&] {
    double sum = 0;
    for (size_t t = 0; t < 3; ++t) {
      double total = 0, mean = 0, at_target = 0;
      for (size_t v = 0; v < kVocab; ++v) {
        double logit = 0;
        for (size_t i = 0; i < kColumns; ++i)
          logit += static_cast<double>(values[t * kColumns + i]) *
                   static_cast<double>(w->values()[v * kColumns + i]);
        total += std::exp(logit);
        mean += logit / kVocab;
        if (std::cmp_equal(v, targets[t])) at_target = logit;
      }
      const double log_z = std::log(total);
      sum += static_cast<double>(weights[t]) *
             (log_z - (1 - kSmooth) * at_target - kSmooth * mean + kZ * log_z * log_z);
    }
    return sum;
  };
  TorchOps ops(false, true);
  ops.regularise({.label_smoothing = static_cast<float>(kSmooth), .z_loss = static_cast<float>(kZ)}, batch,
                 1);
  const Act x = TorchOps::make_act(values, kRows, true);
  const TorchOps::Loss got = ops.head_loss(x, {.weight = &w}, targets, weights, 1.0F);
  EXPECT_NEAR(got.sum, reference(), 1e-5);
  torch_ops::run_backward(got.node);
  for (const size_t i : {0UL, 9UL, 10UL, 29UL}) {
    const float old = values[i];
    values[i] = old + 1e-3F;
    const double up = reference();
    values[i] = old - 1e-3F;
    const double down = reference();
    values[i] = old;
    EXPECT_NEAR(static_cast<double>(x.x().grad().data_ptr<float>()[i]), (up - down) / 2e-3, 2e-3) << i;
  }
}

TEST(TorchOps, NoiseOnEmbeddingsHasItsSizeAndComesFromTheSeed) {
  constexpr int64_t kColumns = 8;
  const Weight w = random_weight({5, kColumns}, 3);
  const std::vector<int32_t> tokens{0, 1, 2, 3}, begin{0, 1, 4};
  const Batch batch{.tokens = tokens, .pos = tokens, .seq_begin = begin, .kv_slot = {}, .out_rows = {}};
  const auto embedded = [&](float alpha, uint64_t seed) {
    TorchOps ops(false, true);
    ops.regularise({.neftune_alpha = alpha}, batch, seed);
    return TorchOps::numbers(ops.embed(w, batch.tokens));
  };
  const std::vector<float> plain = embedded(0, 1), noisy = embedded(5, 1);
  EXPECT_EQ(noisy, embedded(5, 1));
  EXPECT_NE(noisy, embedded(5, 2));
  for (size_t i = 0; i < plain.size(); ++i) {
    const double length = i < kColumns ? 1 : 3, most = 5 / std::sqrt(length * kColumns);
    EXPECT_LE(std::abs(static_cast<double>(noisy[i] - plain[i])), most + 1e-6);
    EXPECT_NE(noisy[i], plain[i]);
  }
}

}  // namespace
}  // namespace volant
