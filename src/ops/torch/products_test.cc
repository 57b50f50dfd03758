// bf16 products and the layouts that they read, against plain loops in double; sizes that fill no panel.
#include "ops/torch/products.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "base/random.h"

namespace volant::torch_ops {
namespace {

uint16_t bits_of(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}
float number_of(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x = 0;
  std::memcpy(&x, &wide, sizeof x);
  return x;
}

// Numbers that bf16 holds exactly.
std::vector<float> exact_numbers(int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> numbers;
  for (int64_t i = 0; i < n; ++i) numbers.push_back(number_of(bits_of(static_cast<float>(random.normal()))));
  return numbers;
}
std::vector<uint16_t> as_bf16(const std::vector<float>& numbers) {
  std::vector<uint16_t> bits;
  for (const float x : numbers) bits.push_back(bits_of(x));
  return bits;
}

// What a panel holds for row and column of the matrix.
size_t place(int64_t row, int64_t column, int64_t rows, int64_t width) {
  const int64_t deep = (rows + 31) / 32, panel = column / width * deep + row / 32;
  return static_cast<size_t>((panel * 16 + row % 32 / 2) * 2 * width + column % width * 2 + row % 2);
}

void check_panels(const Kernels& with, int64_t rows, int64_t columns, int64_t width) {
  SCOPED_TRACE(testing::Message() << with.isa << ", " << rows << " x " << columns << " in panels of "
                                  << width);
  constexpr uint16_t kGuard = 0xABCD;
  const std::vector<float> x = exact_numbers(rows * columns, 1);
  const std::vector<uint16_t> x_bf16 = as_bf16(x);
  const int64_t padded_rows = (rows + 31) / 32 * 32, padded = (columns + width - 1) / width * width;
  for (const bool turned : {false, true})
    for (const bool bf16 : {false, true}) {
      std::vector<uint16_t> packed(static_cast<size_t>(padded_rows * padded + 32), kGuard);
      const void* numbers = bf16 ? static_cast<const void*>(x_bf16.data()) : x.data();
      with.pack_panels({numbers, bf16}, turned, rows, columns, width, packed.data());
      for (int64_t r = 0; r < padded_rows; ++r)
        for (int64_t c = 0; c < padded; ++c) {
          const auto from = static_cast<size_t>(turned ? c * rows + r : r * columns + c);
          const uint16_t expected = r < rows && c < columns ? x_bf16[from] : uint16_t{0};
          ASSERT_EQ(packed[place(r, c, rows, width)], expected) << "row " << r << ", column " << c;
        }
      for (size_t i = packed.size() - 32; i < packed.size(); ++i) ASSERT_EQ(packed[i], kGuard);
    }
}

void check_both(const Kernels& with, int64_t n_out, int64_t n_in, int64_t forward_width,
                int64_t backward_width) {
  SCOPED_TRACE(testing::Message() << with.isa << ", both of " << n_out << " x " << n_in);
  const std::vector<float> w = exact_numbers(n_out * n_in, 1);
  const auto room = [](int64_t rows, int64_t columns, int64_t width) {
    const int64_t numbers = (rows + 31) / 32 * 32 * ((columns + width - 1) / width * width);
    return std::vector<uint16_t>(static_cast<size_t>(numbers), 0xABCD);
  };
  std::vector<uint16_t> forward = room(n_in, n_out, forward_width),
                        backward = room(n_out, n_in, backward_width);
  std::vector<uint16_t> forward_alone = forward, backward_alone = backward;
  with.pack_both(w.data(), n_out, n_in, {forward.data(), forward_width}, {backward.data(), backward_width});
  with.pack_panels({w.data(), false}, true, n_in, n_out, forward_width, forward_alone.data());
  with.pack_panels({w.data(), false}, false, n_out, n_in, backward_width, backward_alone.data());
  EXPECT_EQ(forward, forward_alone);
  EXPECT_EQ(backward, backward_alone);
}

void check_turn(const Kernels& with, int64_t rows, int64_t columns, int64_t x_columns) {
  SCOPED_TRACE(testing::Message() << with.isa << ", " << rows << " x " << columns << " of " << x_columns);
  constexpr uint16_t kGuard = 0xABCD;
  const std::vector<uint16_t> x = as_bf16(exact_numbers(rows * x_columns, 2));
  std::vector<uint16_t> y(static_cast<size_t>(rows * columns + 32), kGuard);
  with.turn(x.data(), x_columns, rows, columns, y.data());
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r)
      ASSERT_EQ(y[static_cast<size_t>(c * rows + r)], x[static_cast<size_t>(r * x_columns + c)]);
  for (size_t i = y.size() - 32; i < y.size(); ++i) ASSERT_EQ(y[i], kGuard);
}

TEST(Products, FactorsAreLaidOutAsTheirProductsReadThem) {
  std::vector<const Kernels*> tables = {&generic::kTable};
  if (__builtin_cpu_supports("avx2")) tables.push_back(&avx2::kTable);
  if (__builtin_cpu_supports("avx512bw")) tables.push_back(&avx512::kTable);
  for (const Kernels* with : tables)
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{1, 1}, {32, 64}, {33, 70}, {95, 128}, {64, 17}}) {
      for (const int64_t width : {16, 48, 64}) check_panels(*with, rows, columns, width);
      for (const int64_t width : {48, 64}) check_both(*with, rows, columns, width, 112 - width);
      check_both(*with, 5 * rows, 3 * columns, 64, 64);
      check_turn(*with, rows, columns, columns + 5);
    }
}

TEST(Products, GradientsOfAWeightAndItsBiasAreAddedUpInManyBlocksAndOddSizes) {
  for (const auto& [rows, n_out, n_in] : {std::array<int64_t, 3>{7, 5, 3}, {40, 200, 33}, {16384, 261, 20}}) {
    SCOPED_TRACE(testing::Message() << rows << " rows, " << n_out << " x " << n_in);
    const std::vector<float> g = exact_numbers(rows * n_out, 3), x = exact_numbers(rows * n_in, 4);
    for (const bool bf16 : {false, true}) {
      if (bf16 && !has_bf16()) continue;
      const std::vector<uint16_t> g_bf16 = as_bf16(g), x_bf16 = as_bf16(x);
      std::vector<float> grad(static_cast<size_t>(n_out * n_in), 2.0F),
          grad_bias(static_cast<size_t>(n_out), 3.0F);
      if (bf16)
        add_weight_gradient({g_bf16.data(), true}, {x_bf16.data(), true}, rows, n_out, n_in, grad.data(),
                            grad_bias.data());
      else
        add_weight_gradient({g.data(), false}, {x.data(), false}, rows, n_out, n_in, grad.data(),
                            grad_bias.data());
      for (int64_t o = 0; o < n_out; ++o) {
        double sum = 3;
        for (int64_t t = 0; t < rows; ++t) sum += static_cast<double>(g[static_cast<size_t>(t * n_out + o)]);
        ASSERT_NEAR(grad_bias[static_cast<size_t>(o)], sum, 1e-4 * std::sqrt(static_cast<double>(rows)));
      }
      for (int64_t o = 0; o < n_out; o += 13)
        for (int64_t i = 0; i < n_in; ++i) {
          double sum = 2;
          for (int64_t t = 0; t < rows; ++t)
            sum += static_cast<double>(g[static_cast<size_t>(t * n_out + o)]) *
                   static_cast<double>(x[static_cast<size_t>(t * n_in + i)]);
          ASSERT_NEAR(grad[static_cast<size_t>(o * n_in + i)], sum,
                      1e-4 * std::sqrt(static_cast<double>(rows)));
        }
    }
  }
}

// y[rows, n] = x[rows, k] b, where b(inner, column) is a number of the other factor.
void expect_product(const std::vector<float>& y, int64_t rows, int64_t n, int64_t k,
                    const std::vector<float>& x, const std::function<float(int64_t, int64_t)>& b) {
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0;
      for (int64_t inner = 0; inner < k; ++inner)
        sum += static_cast<double>(x[static_cast<size_t>(t * k + inner)] * b(inner, column));
      ASSERT_NEAR(y[static_cast<size_t>(t * n + column)], sum, 1e-4) << "row " << t << ", column " << column;
    }
}

TEST(Products, AFactorInPanelsIsMultipliedWholeAndInParts) {
  if (!has_bf16()) GTEST_SKIP() << "this processor has no instruction for pairs of bf16";
  const Kernels& with = avx512_bf16::kTable;
  constexpr float kGuard = 77;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1, 1},
                                {7, 50, 33},
                                {8, 48, 64},
                                {13, 130, 31},
                                {70, 64, 96},
                                {9, 65, kPairDepth + 5}})
    for (const int64_t width : {48, 64})
      for (const bool bf16 : {false, true})
        for (const bool add : {false, true}) {
          SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << ", panels of " << width
                                          << (bf16 ? ", bf16" : ", f32") << (add ? ", added" : ""));
          const std::vector<float> a = exact_numbers(m * k, 8), b = exact_numbers(k * n, 9);
          std::vector<uint16_t> panels(
              static_cast<size_t>((k + 31) / 32 * 32 * ((n + width - 1) / width * width)));
          with.pack_panels({b.data(), false}, false, k, n, width, panels.data());
          const auto size = static_cast<size_t>(m * n);
          std::vector<float> c(size + 16, kGuard), sums(size);
          std::vector<uint16_t> c_bf16(size + 16, bits_of(kGuard));
          const std::vector<uint16_t> a_bf16 = as_bf16(a);
          with.pair_product({.a = a_bf16.data(),
                             .panels = panels.data(),
                             .m = m,
                             .n = n,
                             .k = k,
                             .width = width,
                             .c = bf16 ? Out{c_bf16.data(), true} : Out{c.data(), false},
                             .add = add,
                             .sums = sums.data()});
          if (bf16)
            for (size_t i = 0; i < c.size(); ++i) c[i] = number_of(c_bf16[i]);
          for (int64_t row = 0; row < m; ++row)
            for (int64_t column = 0; column < n; ++column) {
              double sum = add ? static_cast<double>(kGuard) : 0;
              for (int64_t i = 0; i < k; ++i)
                sum += static_cast<double>(a[static_cast<size_t>(row * k + i)] *
                                           b[static_cast<size_t>(i * n + column)]);
              const double within =
                  bf16 ? 1e-3 + std::abs(sum) / 256 : 2e-5 * std::sqrt(static_cast<double>(k)) + 1e-5;
              ASSERT_NEAR(c[static_cast<size_t>(row * n + column)], sum, within)
                  << "row " << row << ", column " << column;
            }
          for (size_t i = size; i < c.size(); ++i) ASSERT_EQ(c[i], kGuard);
        }
}

// GELU in double and its slope, by the tanh formula or exactly.
struct GeluAt {
  double value, slope;
};
GeluAt gelu_at(double x, bool tanh) {
  if (!tanh) {
    const double share = 0.5 * std::erfc(-x / std::sqrt(2.0));
    return {x * share, share + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI)};
  }
  const double root = std::sqrt(2 / M_PI), t = std::tanh(root * (x + 0.044715 * x * x * x));
  return {x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) / 2 * root * (1 + 3 * 0.044715 * x * x)};
}

// A product of m x n sums over k, with all that it may go through before it is stored.
struct FinishedCase {
  int64_t m, n, k;
  bool bf16, residual, tanh;
  Finish::Function function;
};

void check_finished(const FinishedCase& c) {
  using Function = Finish::Function;
  const auto size = static_cast<size_t>(c.m * c.n);
  const std::vector<float> x = exact_numbers(c.m * c.k, 11), w = exact_numbers(c.n * c.k, 12),
                           bias = exact_numbers(c.n, 13), residual = exact_numbers(c.m * c.n, 14);
  const bool reads = c.function == Function::kGeluSlope;
  std::vector<uint16_t> argument =
      reads ? as_bf16(exact_numbers(c.m * c.n, 15)) : std::vector<uint16_t>(size);
  const std::vector<uint16_t> before = argument, x_bf16 = as_bf16(x);
  std::vector<float> y(size);
  std::vector<uint16_t> y_bf16(size);
  PackedWeight weight({w.data(), DType::kF32, c.n, c.k});
  const Finish finish{.bias = bias.data(),
                      .residual = c.residual ? residual.data() : nullptr,
                      .function = c.function,
                      .tanh = c.tanh,
                      .argument = argument.data()};
  weight.forward({x_bf16.data(), true}, c.m, finish,
                 c.bf16 ? Out{y_bf16.data(), true} : Out{y.data(), false});
  for (size_t i = 0; i < size; ++i) {
    const auto row = static_cast<int64_t>(i) / c.n, column = static_cast<int64_t>(i) % c.n;
    double sum = static_cast<double>(bias[static_cast<size_t>(column)]);
    if (c.residual) sum += static_cast<double>(residual[i]);
    for (int64_t k = 0; k < c.k; ++k)
      sum += static_cast<double>(x[static_cast<size_t>(row * c.k + k)] *
                                 w[static_cast<size_t>(column * c.k + k)]);
    const double within = 1e-4 * std::sqrt(static_cast<double>(c.k)), rounded = std::abs(sum) / 200;
    if (c.function == Function::kGelu) {
      ASSERT_NEAR(number_of(argument[i]), sum, within + rounded);
      sum = gelu_at(sum, c.tanh).value;
    }
    if (reads) {
      ASSERT_EQ(argument[i], before[i]);
      sum *= gelu_at(static_cast<double>(number_of(before[i])), c.tanh).slope;
    }
    ASSERT_NEAR(c.bf16 ? number_of(y_bf16[i]) : y[i], sum, within + (c.bf16 ? rounded : 0))
        << "row " << row << ", column " << column;
  }
}

TEST(Products, AreFinishedWhereTheyAreStored) {
  if (!multiplies_pairs()) GTEST_SKIP() << "products are oneDNN's here";
  using Function = Finish::Function;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{7, 50, 33}, {13, 130, 31}, {5, 40, kPairDepth + 5}})
    for (const bool bf16 : {false, true})
      for (const bool residual : {false, true})
        for (const Function function : {Function::kNone, Function::kGelu, Function::kGeluSlope})
          for (const bool tanh : {false, true}) {
            if (tanh && function == Function::kNone) continue;
            SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << (bf16 ? ", bf16" : ", f32")
                                            << (residual ? ", residual" : "") << ", function "
                                            << static_cast<int>(function) << (tanh ? " by tanh" : ""));
            check_finished({m, n, k, bf16, residual, tanh, function});
          }
}

TEST(Products, WeightsArePackedAnewAfterTheyChange) {
  const int64_t n_out = 37, n_in = 45, rows = 6;
  std::vector<float> w = exact_numbers(n_out * n_in, 5);
  PackedWeight weight({w.data(), DType::kF32, n_out, n_in});
  const std::vector<float> x = exact_numbers(rows * n_in, 6), g = exact_numbers(rows * n_out, 7);
  const bool bf16 = has_bf16();
  const std::vector<uint16_t> x_bf16 = as_bf16(x), g_bf16 = as_bf16(g);
  const auto in = [&](const std::vector<float>& full, const std::vector<uint16_t>& half) {
    return bf16 ? In{half.data(), true} : In{full.data(), false};
  };
  for (int time = 0; time < 2; ++time) {
    std::vector<float> y(static_cast<size_t>(rows * n_out)), grad(static_cast<size_t>(rows * n_in));
    weight.forward(in(x, x_bf16), rows, {y.data(), false});
    weight.backward(in(g, g_bf16), rows, {grad.data(), false});
    expect_product(y, rows, n_out, n_in, x,
                   [&](int64_t i, int64_t o) { return w[static_cast<size_t>(o * n_in + i)]; });
    expect_product(grad, rows, n_in, n_out, g,
                   [&](int64_t o, int64_t i) { return w[static_cast<size_t>(o * n_in + i)]; });
    for (float& number : w) number *= -2;
    weight.changed();
  }
}

}  // namespace
}  // namespace volant::torch_ops
