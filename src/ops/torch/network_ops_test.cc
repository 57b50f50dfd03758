// The operations of networks: TorchOps against plain loops and differences, NativeOps the same numbers. Odd
// sizes throughout, so that nothing fills a vector or a panel.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "ops/native/native_ops.h"
#include "ops/torch/gradient_check.h"

namespace volant {
namespace {

using testing::Act;
using testing::check_gradients;
using testing::Numbers;
using testing::random_numbers;
using testing::random_weight;
using testing::Weight;

const std::vector<int32_t> kSeqBegin = {0, 5, 8, 9, 17};
constexpr int64_t kRows = 17;

Batch batch_of() {
  static const std::vector<int32_t> kIds(static_cast<size_t>(kRows));
  return {.tokens = kIds, .pos = kIds, .seq_begin = kSeqBegin, .kv_slot = {}, .out_rows = {}};
}

NativeWeight native_of(ThreadPool& pool, const Weight& w) {
  std::vector<int64_t> shape = w->shape;
  if (shape.size() > 2) shape = {shape[0], w->count() / shape[0]};
  return NativeWeight::load(
             {DType::kF32, shape,
              std::as_bytes(std::span<const float>(w->values(), static_cast<size_t>(w->count())))},
             pool)
      .value();
}

class NetworkOps : public ::testing::Test {
 protected:
  NativeAct native_act(const Numbers& x, int64_t rows) {
    return native_.features({.tokens = {},
                             .pos = {},
                             .seq_begin = {},
                             .kv_slot = {},
                             .out_rows = {},
                             .features = x,
                             .feature_columns = static_cast<int64_t>(x.size()) / rows});
  }
  static void expect_same(const NativeAct& native, const Act& torch, const std::vector<double>& expected) {
    ASSERT_EQ(native.numbers().size(), expected.size());
    ASSERT_EQ(static_cast<size_t>(torch.x().numel()), expected.size());
    const Numbers got = TorchOps::numbers(torch);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(got[i], expected[i], 2e-5 * (1 + std::abs(expected[i]))) << "torch, number " << i;
      ASSERT_NEAR(native.numbers()[i], expected[i], 2e-5 * (1 + std::abs(expected[i])))
          << "native, number " << i;
    }
  }
  static double at(const Numbers& x, int64_t i) { return static_cast<double>(x[static_cast<size_t>(i)]); }

  ThreadPool pool_{2};
  NativeOps native_{pool_, nullptr};
  TorchOps torch_{/*bf16=*/false, /*record=*/false};
};

std::vector<double> plain_conv(const Numbers& x, const Weight& w, const Weight& b, const ConvSpec& s,
                               int64_t rows) {
  std::vector<double> y;
  const PictureShape out = s.out();
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t o = 0; o < s.channels; ++o)
      for (int64_t i = 0; i < out.height; ++i)
        for (int64_t j = 0; j < out.width; ++j) {
          auto sum = static_cast<double>(b->values()[o]);
          for (int64_t c = 0; c < s.in.channels; ++c)
            for (int64_t u = 0; u < s.kernel; ++u)
              for (int64_t v = 0; v < s.kernel; ++v) {
                const int64_t row = i * s.stride + u - s.padding, column = j * s.stride + v - s.padding;
                if (row < 0 || column < 0 || row >= s.in.height || column >= s.in.width) continue;
                sum += static_cast<double>(
                           w->values()[((o * s.in.channels + c) * s.kernel + u) * s.kernel + v]) *
                       static_cast<double>(x[static_cast<size_t>(
                           ((t * s.in.channels + c) * s.in.height + row) * s.in.width + column)]);
              }
          y.push_back(sum);
        }
  return y;
}

TEST_F(NetworkOps, ConvolutionIsThatOfPlainLoopsForAnyGeometry) {
  for (const ConvSpec& s :
       {ConvSpec{{1, 28, 28}, 5, 3, 1, 0}, ConvSpec{{3, 7, 10}, 17, 3, 2, 1}, ConvSpec{{4, 9, 5}, 3, 5, 1, 2},
        ConvSpec{{2, 6, 11}, 4, 2, 3, 0}, ConvSpec{{5, 8, 8}, 6, 1, 1, 0}, ConvSpec{{5, 8, 9}, 6, 1, 2, 0},
        ConvSpec{{1, 3, 3}, 1, 3, 1, 0}, ConvSpec{{40, 33, 31}, 33, 3, 1, 1}}) {
    SCOPED_TRACE(fmt::format("{} x {} x {}, kernel {}", s.in.channels, s.in.height, s.in.width, s.kernel));
    const int64_t rows = 3;
    const Weight w = random_weight({s.channels, s.in.channels, s.kernel, s.kernel}, 1),
                 b = random_weight({s.channels}, 2);
    const Numbers x = random_numbers(static_cast<size_t>(rows * s.in.columns()), 3);
    expect_same(native_.conv2d(native_act(x, rows), native_of(pool_, w), native_of(pool_, b), s),
                torch_.conv2d(TorchOps::make_act(x, rows, false), w, b, s), plain_conv(x, w, b, s, rows));
  }
}

TEST_F(NetworkOps, ConvolutionMatchesDifferences) {
  for (const ConvSpec& s : {ConvSpec{{3, 7, 6}, 5, 3, 1, 1}, ConvSpec{{2, 7, 8}, 3, 2, 3, 0}}) {
    const Weight w = random_weight({s.channels, s.in.channels, s.kernel, s.kernel}, 1),
                 b = random_weight({s.channels}, 2);
    check_gradients([&](TorchOps& ops, const std::vector<Act>& x) { return ops.conv2d(x[0], w, b, s); },
                    {{random_numbers(static_cast<size_t>(2 * s.in.columns()), 3), 2}}, {w, b});
  }
}

TEST_F(NetworkOps, PoolingTakesTheLargestOrTheMeanOfEachWindow) {
  using Kind = PoolSpec::Kind;
  for (const PoolSpec& s :
       {PoolSpec{Kind::kMax, {3, 9, 8}, 2, 2, 2}, PoolSpec{Kind::kAverage, {3, 9, 8}, 2, 2, 2},
        PoolSpec{Kind::kMax, {2, 7, 11}, 3, 3, 1}, PoolSpec{Kind::kAverage, {2, 7, 11}, 3, 3, 2},
        PoolSpec{Kind::kAverage, {4, 5, 6}, 5, 6, 1}, PoolSpec{Kind::kMax, {1, 8, 8}, 2, 2, 3}}) {
    const int64_t rows = 3;
    const PictureShape out = s.out();
    const Numbers x = random_numbers(static_cast<size_t>(rows * s.in.columns()), 3);
    std::vector<double> expected;
    for (int64_t plane = 0; plane < rows * s.in.channels; ++plane)
      for (int64_t i = 0; i < out.height; ++i)
        for (int64_t j = 0; j < out.width; ++j) {
          double sum = 0, most = -1e9;
          for (int64_t u = 0; u < s.size_y; ++u)
            for (int64_t v = 0; v < s.size_x; ++v) {
              const double value =
                  at(x, (plane * s.in.height + i * s.stride + u) * s.in.width + j * s.stride + v);
              sum += value;
              most = std::max(most, value);
            }
          expected.push_back(s.kind == Kind::kMax ? most : sum / static_cast<double>(s.size_y * s.size_x));
        }
    expect_same(native_.pool2d(native_act(x, rows), s), torch_.pool2d(TorchOps::make_act(x, rows, false), s),
                expected);
    // Numbers far enough from each other that a small step changes no choice.
    Numbers apart(x.size());
    for (size_t i = 0; i < apart.size(); ++i) apart[i] = static_cast<float>((i * 7919) % apart.size()) * 0.1F;
    check_gradients(
        [&](TorchOps& ops, const std::vector<Act>& acts) { return ops.scale(ops.pool2d(acts[0], s), 1); },
        {{apart, rows}}, {});
  }
}

TEST_F(NetworkOps, BatchNormOutsideOfTrainingGoesByItsStatistics) {
  for (const PictureShape& shape : {PictureShape{3, 5, 7}, PictureShape{19, 1, 1}}) {
    const int64_t rows = 4, area = shape.height * shape.width;
    const Weight scale = random_weight({shape.channels}, 1), shift = random_weight({shape.channels}, 2),
                 mean = random_weight({shape.channels}, 3), variance = random_weight({shape.channels}, 4);
    for (int64_t c = 0; c < shape.channels; ++c)
      variance->values()[c] = 0.3F + std::abs(variance->values()[c]);
    const Numbers x = random_numbers(static_cast<size_t>(rows * shape.columns()), 5);
    std::vector<double> expected;
    for (size_t i = 0; i < x.size(); ++i) {
      const int64_t c = static_cast<int64_t>(i) / area % shape.channels;
      const auto number = [&](const Weight& w) { return static_cast<double>(w->values()[c]); };
      expected.push_back((static_cast<double>(x[i]) - number(mean)) / std::sqrt(number(variance) + 1e-3) *
                             number(scale) +
                         number(shift));
    }
    const auto norm = [&]<class W>(const W& a, const W& b, const W& m, const W& v) {
      return BatchNorm<W>{.scale = &a, .shift = &b, .mean = &m, .variance = &v, .shape = shape, .eps = 1e-3F};
    };
    const NativeWeight a = native_of(pool_, scale), b = native_of(pool_, shift), m = native_of(pool_, mean),
                       v = native_of(pool_, variance);
    const BatchNorm<Weight> spec = norm(scale, shift, mean, variance);
    expect_same(native_.batch_norm(native_act(x, rows), norm(a, b, m, v)),
                torch_.batch_norm(TorchOps::make_act(x, rows, false), spec), expected);
    check_gradients(
        [&](TorchOps& ops, const std::vector<Act>& acts) { return ops.batch_norm(acts[0], spec); },
        {{x, rows}}, {scale, shift});
  }
}

TEST_F(NetworkOps, RecurrencesMatchDifferencesInBothDirectionsOverRaggedSequences) {
  for (const auto kind : {RecurrentSpec::Kind::kLstm, RecurrentSpec::Kind::kGru})
    for (const bool backwards : {false, true}) {
      const RecurrentSpec spec{kind, 5, backwards};
      const int64_t n_gates = spec.n_gates() * spec.units;
      const Weight w = random_weight({n_gates, spec.units}, 1), b = random_weight({n_gates}, 2);
      check_gradients([&](TorchOps& ops,
                          const std::vector<Act>& x) { return ops.recurrent(x[0], w, b, batch_of(), spec); },
                      {{random_numbers(static_cast<size_t>(kRows * n_gates), 3), kRows}}, {w, b});
    }
}

TEST_F(NetworkOps, ASequenceAloneGivesTheBitsItGivesAmongOthers) {
  for (const auto kind : {RecurrentSpec::Kind::kLstm, RecurrentSpec::Kind::kGru}) {
    const RecurrentSpec spec{kind, 37, true};
    const int64_t n_gates = spec.n_gates() * spec.units;
    const NativeWeight w = native_of(pool_, random_weight({n_gates, spec.units}, 1)),
                       b = native_of(pool_, random_weight({n_gates}, 2));
    const Numbers x = random_numbers(static_cast<size_t>(kRows * n_gates), 3);
    const NativeAct all = native_.recurrent(native_act(x, kRows), w, b, batch_of(), spec);
    for (size_t s = 0; s + 1 < kSeqBegin.size(); ++s) {
      const int32_t begin = kSeqBegin[s], n = kSeqBegin[s + 1] - begin;
      const std::vector<int32_t> own_begin{0, n};
      Batch batch = batch_of();
      batch.seq_begin = own_begin;
      const NativeAct alone = native_.recurrent(
          native_act({x.begin() + begin * n_gates, x.begin() + (begin + n) * n_gates}, n), w, b, batch, spec);
      for (int64_t i = 0; i < n * spec.units; ++i) ASSERT_EQ(alone.row(0)[i], all.row(begin)[i]);
    }
  }
}

TEST_F(NetworkOps, SequencesBecomeOneRow) {
  const int64_t columns = 21;
  const Numbers x = random_numbers(static_cast<size_t>(kRows * columns), 3);
  for (const RowPool how : {RowPool::kMean, RowPool::kMax, RowPool::kLast}) {
    std::vector<double> expected;
    for (size_t s = 0; s + 1 < kSeqBegin.size(); ++s)
      for (int64_t i = 0; i < columns; ++i) {
        double sum = 0, most = -1e9, last = 0;
        for (int64_t r = kSeqBegin[s]; r < kSeqBegin[s + 1]; ++r) {
          last = at(x, r * columns + i);
          sum += last;
          most = std::max(most, last);
        }
        expected.push_back(how == RowPool::kMean  ? sum / (kSeqBegin[s + 1] - kSeqBegin[s])
                           : how == RowPool::kMax ? most
                                                  : last);
      }
    expect_same(native_.pool_rows(native_act(x, kRows), batch_of(), how),
                torch_.pool_rows(TorchOps::make_act(x, kRows, false), batch_of(), how), expected);
    Numbers apart(x.size());
    for (size_t i = 0; i < apart.size(); ++i) apart[i] = static_cast<float>((i * 7919) % apart.size()) * 0.1F;
    check_gradients(
        [&](TorchOps& ops, const std::vector<Act>& acts) { return ops.pool_rows(acts[0], batch_of(), how); },
        {{apart, kRows}}, {});
  }
}

TEST_F(NetworkOps, ColumnsAreJoined) {
  const Numbers x = random_numbers(static_cast<size_t>(kRows * 5), 3),
                y = random_numbers(static_cast<size_t>(kRows * 3), 4);
  std::vector<double> expected;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t i = 0; i < 5; ++i) expected.push_back(at(x, r * 5 + i));
    for (int64_t i = 0; i < 3; ++i) expected.push_back(at(y, r * 3 + i));
  }
  expect_same(native_.join_columns(native_act(x, kRows), native_act(y, kRows)),
              torch_.join_columns(TorchOps::make_act(x, kRows, false), TorchOps::make_act(y, kRows, false)),
              expected);
  check_gradients(
      [&](TorchOps& ops, const std::vector<Act>& acts) { return ops.join_columns(acts[0], acts[1]); },
      {{x, kRows}, {y, kRows}}, {});
}

TEST_F(NetworkOps, DropoutFollowsFromItsSeedAndKeepsTheMean) {
  const Numbers ones(100'000, 1.0F);
  const auto dropped = [&](uint64_t seed, bool record) {
    TorchOps ops(false, record);
    ops.set_seed(seed);
    return TorchOps::numbers(ops.dropout(TorchOps::make_act(ones, 100, false), 0.25F));
  };
  EXPECT_EQ(dropped(0, true), ones);
  EXPECT_EQ(dropped(7, false), ones);
  const Numbers first = dropped(7, true);
  EXPECT_EQ(dropped(7, true), first);
  EXPECT_NE(dropped(8, true), first);
  double mean = 0;
  for (const float x : first) {
    ASSERT_TRUE(x == 0 || std::abs(x - 4.0F / 3) < 1e-6F);
    mean += static_cast<double>(x) / 1e5;
  }
  EXPECT_NEAR(mean, 1, 6 * std::sqrt(1.0 / 3 / 1e5));  // deviation of a number: sqrt(p / (1 - p))
  EXPECT_EQ(native_.dropout(native_act(ones, 100), 0.25F).numbers().size(), ones.size());
}

TEST_F(NetworkOps, TwoDropoutsOfAPassDrawDifferently) {
  TorchOps ops(false, true);
  ops.set_seed(7);
  const Numbers ones(1000, 1.0F);
  const Act x = TorchOps::make_act(ones, 10, true);
  const Act a = ops.dropout(x, 0.5F), b = ops.dropout(x, 0.5F);
  EXPECT_NE(TorchOps::numbers(a), TorchOps::numbers(b));
  // What was dropped has no gradient, the rest that of the factor.
  torch_ops::run_backward(a.x().sum());
  EXPECT_EQ(TorchOps::numbers({x.x().grad()}), TorchOps::numbers(a));
}

}  // namespace
}  // namespace volant
