// Rows of numbers, and the choice of a table: every table that this processor can run, against definitions in
// plain double loops. Products and attention have files of their own.
#include "kernels/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <vector>

#include "base/random.h"
#include "kernels/test_tables.h"

namespace volant {
namespace {

using testing::EachTable;
using testing::Guarded;
using testing::random_floats;

// Of the other files too that test each table.
INSTANTIATE_TEST_SUITE_P(Host, EachTable, ::testing::ValuesIn(host_kernels().begin(), host_kernels().end()),
                         [](const auto& table) { return std::string(table.param->name); });

TEST_P(EachTable, QuantizedBlockIsWithinHalfAStepAndKeepsItsSum) {
  std::vector<float> x = random_floats(random_, 96, 3);
  std::fill(x.begin() + 32, x.begin() + 64, 0.0F);
  std::vector<int8_t> q(96);
  std::vector<float> scales(3);
  std::vector<int32_t> sums(6);
  k().quantize_q8(x.data(), 96, q.data(), scales.data(), sums.data());
  for (size_t b = 0; b < 3; ++b) {
    int32_t sum[2] = {};
    for (size_t i = b * 32; i < b * 32 + 32; ++i) {
      EXPECT_NEAR(static_cast<float>(q[i]) * scales[b], x[i], scales[b] * 0.5001F);
      sum[i % 32 / 16] += q[i];
    }
    EXPECT_EQ(sums[2 * b], sum[0]);
    EXPECT_EQ(sums[2 * b + 1], sum[1]);
  }
  EXPECT_EQ(scales[1], 0.0F);
}

TEST_P(EachTable, QuantizingBrokenNumbersStaysInsideInt8) {
  std::vector<float> x(32, 1.0F);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  x[7] = std::numeric_limits<float>::infinity();
  std::vector<int8_t> q(32);
  float scale = 0;
  int32_t sums[2];
  k().quantize_q8(x.data(), 32, q.data(), &scale, sums);
  for (const int8_t value : q) EXPECT_GE(value, -127);
}

TEST_P(EachTable, RmsNormEqualsItsDefinition) {
  for (const int64_t n : {1, 7, 16, 33, 64, 288}) {
    const std::vector<float> x = random_floats(random_, n, 2), w = random_floats(random_, n);
    Guarded y(n);
    const float offset = n == 33 ? 1.0F : 0.0F;
    k().rms_norm(x.data(), w.data(), n, 1e-5F, offset, y.data());
    EXPECT_TRUE(y.intact());
    double squares = 0;
    for (const float v : x) squares += static_cast<double>(v) * static_cast<double>(v);
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(y.data()[i], static_cast<double>(x[i]) * factor * static_cast<double>(w[i] + offset), 8e-6);
    }
  }
}

TEST_P(EachTable, LayerNormEqualsItsDefinitionFarFromZeroToo) {
  for (const int64_t n : {1, 7, 16, 33, 64, 288}) {
    std::vector<float> x = random_floats(random_, n, 2);
    for (float& v : x) v += n == 33 ? 100.0F : 0.5F;
    const std::vector<float> w = random_floats(random_, n), b = random_floats(random_, n);
    double mean = 0, squares = 0;
    for (const float v : x) mean += static_cast<double>(v) / static_cast<double>(n);
    for (const float v : x) squares += std::pow(static_cast<double>(v) - mean, 2);
    const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
    for (const bool with_bias : {true, false}) {
      Guarded y(n);
      k().layer_norm(x.data(), w.data(), with_bias ? b.data() : nullptr, n, 1e-5F, y.data());
      EXPECT_TRUE(y.intact());
      for (size_t i = 0; i < x.size(); ++i) {
        const double expected = (static_cast<double>(x[i]) - mean) * factor * static_cast<double>(w[i]) +
                                (with_bias ? static_cast<double>(b[i]) : 0.0);
        EXPECT_NEAR(y.data()[i], expected, n == 33 ? 1e-4 : 8e-6) << n;
      }
    }
  }
}

TEST_P(EachTable, GeluFollowsBothFormulasAndSaturates) {
  for (const int64_t n : {1, 8, 15, 40}) {
    std::vector<float> x = random_floats(random_, n, 3);
    const std::vector<float> up = random_floats(random_, n);
    x[0] = n == 8 ? -200.0F : n == 15 ? 200.0F : x[0];
    for (const bool tanh : {false, true}) {
      Guarded y(n), gated(n);
      k().gelu_mul(x.data(), nullptr, n, tanh, y.data());
      k().gelu_mul(x.data(), up.data(), n, tanh, gated.data());
      EXPECT_TRUE(y.intact() && gated.intact());
      for (size_t i = 0; i < x.size(); ++i) {
        const double v = static_cast<double>(x[i]);
        const double expected =
            tanh ? 0.5 * v * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v)))
                 : 0.5 * v * std::erfc(-v / std::numbers::sqrt2);
        EXPECT_NEAR(y.data()[i], expected, 3e-7 * (1 + std::fabs(v))) << v;
        EXPECT_NEAR(gated.data()[i], expected * static_cast<double>(up[i]), 1e-6 * (1 + std::fabs(v))) << v;
      }
    }
  }
}

TEST_P(EachTable, SoftcapAndScaleEqualTheirDefinitions) {
  for (const int64_t n : {1, 16, 31}) {
    const std::vector<float> x = random_floats(random_, n, 40);
    Guarded capped(n), scaled(n);
    k().softcap(x.data(), n, 30.0F, capped.data());
    k().scale(x.data(), n, 0.3F, scaled.data());
    EXPECT_TRUE(capped.intact() && scaled.intact());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(capped.data()[i], 30 * std::tanh(static_cast<double>(x[i]) / 30), 1e-5);
      EXPECT_EQ(scaled.data()[i], x[i] * 0.3F);
    }
  }
}

TEST_P(EachTable, SiluMulIsExactToAFewUnitsAndSaturates) {
  for (const int64_t n : {1, 8, 15, 40}) {
    std::vector<float> gate = random_floats(random_, n, 10);
    const std::vector<float> up = random_floats(random_, n);
    gate[0] = n == 8 ? -200.0F : n == 15 ? 200.0F : gate[0];
    Guarded y(n);
    k().silu_mul(gate.data(), up.data(), n, y.data());
    EXPECT_TRUE(y.intact());
    for (size_t i = 0; i < gate.size(); ++i) {
      const double g = static_cast<double>(gate[i]);
      const double expected = g / (1 + std::exp(-g)) * static_cast<double>(up[i]);
      EXPECT_NEAR(y.data()[i], expected, 1e-6 * std::fabs(expected) + 1e-30) << g;
    }
  }
}

TEST_P(EachTable, AddAddsAnyLength) {
  for (const int64_t n : {1, 2, 6, 16, 31}) {
    const std::vector<float> a = random_floats(random_, n), b = random_floats(random_, n);
    Guarded y(n);
    k().add(a.data(), b.data(), n, y.data());
    EXPECT_TRUE(y.intact());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(y.data()[i], a[i] + b[i]);
  }
}

TEST_P(EachTable, RopeTurnsHalvesAgainstEachOther) {
  for (const auto& [head_dim, n_turned] : std::vector<std::pair<int64_t, int64_t>>{
           {2, 2}, {8, 8}, {16, 16}, {48, 48}, {64, 64}, {128, 128}, {16, 6}, {96, 72}}) {
    const int64_t n_head = 3, half = n_turned / 2;
    const std::vector<float> x = random_floats(random_, n_head * head_dim);
    std::vector<float> c(static_cast<size_t>(half)), s(c);
    for (size_t i = 0; i < c.size(); ++i) {
      c[i] = std::cos(static_cast<float>(i) + 0.5F);
      s[i] = std::sin(static_cast<float>(i) + 0.5F);
    }
    Guarded y(n_head * head_dim);
    k().rope(x.data(), n_head, head_dim, n_turned, c.data(), s.data(), y.data());
    EXPECT_TRUE(y.intact());
    for (int64_t h = 0; h < n_head; ++h) {
      for (int64_t i = 0; i < half; ++i) {
        const float low = x[static_cast<size_t>(h * head_dim + i)],
                    high = x[static_cast<size_t>(h * head_dim + half + i)];
        const auto j = static_cast<size_t>(i);
        EXPECT_NEAR(y.data()[h * head_dim + i], low * c[j] - high * s[j], 1e-6);
        EXPECT_NEAR(y.data()[h * head_dim + half + i], high * c[j] + low * s[j], 1e-6);
      }
      for (int64_t i = h * head_dim + n_turned; i < (h + 1) * head_dim; ++i)
        EXPECT_EQ(y.data()[i], x[static_cast<size_t>(i)]);
    }
  }
}

TEST_P(EachTable, ArgmaxIsTheFirstOfEquals) {
  for (const int64_t n : {1, 5, 16, 33, 1000}) {
    std::vector<float> x = random_floats(random_, n);
    x[static_cast<size_t>(n / 2)] = 50;
    if (n > 5) x[static_cast<size_t>(n - 1)] = 50;
    EXPECT_EQ(k().argmax(x.data(), n), n / 2);
    EXPECT_EQ(k().max(x.data(), n), 50.0F);
  }
  const std::vector<float> broken(20, std::numeric_limits<float>::quiet_NaN());
  EXPECT_LT(k().argmax(broken.data(), 20), 20);
}

TEST_P(EachTable, ExpSumIsTheSoftmaxDenominatorAndItsTerms) {
  for (const int64_t n : {1, 16, 100, 5000}) {
    const std::vector<float> x = random_floats(random_, n, 5);
    const float largest = k().max(x.data(), n);
    Guarded terms(n);
    double expected = 0;
    const double sum = k().exp_sum(x.data(), n, largest, 0.5F, terms.data());
    EXPECT_TRUE(terms.intact());
    for (size_t i = 0; i < x.size(); ++i) {
      const double term = std::exp((static_cast<double>(x[i]) - static_cast<double>(largest)) * 0.5);
      EXPECT_NEAR(terms.data()[i], term, 1e-6 * term + 1e-30);
      expected += term;
    }
    EXPECT_NEAR(sum, expected, 1e-6 * expected);
    EXPECT_EQ(k().exp_sum(x.data(), n, largest, 0.5F, nullptr), sum);
  }
}

TEST(ForceKernels, TakesAKnownTableAndNamesTheKnownOnesOtherwise) {
  const std::string before = kernels().name;
  ASSERT_TRUE(force_kernels("generic"));
  EXPECT_STREQ(kernels().name, "generic");
  const Status unknown = force_kernels("mmx");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, ::testing::HasSubstr("generic"));
  ASSERT_TRUE(force_kernels(before));
}

}  // namespace
}  // namespace volant
