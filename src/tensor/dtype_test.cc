#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/random.h"
#include "tensor/tensor_view.h"

namespace volant {
namespace {

// The nearest f16 to `value`, by trying all of them in double; ties go to the even mantissa.
uint16_t nearest_f16(float value) {
  uint16_t best = 0;
  double best_distance = std::numeric_limits<double>::infinity();
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const double distance = std::abs(static_cast<double>(f16_to_f32(static_cast<uint16_t>(bits))) -
                                     std::abs(static_cast<double>(value)));
    if (distance < best_distance || (distance == best_distance && bits % 2 == 0)) {
      best_distance = distance;
      best = static_cast<uint16_t>(bits);
    }
  }
  return static_cast<uint16_t>(best | (std::signbit(value) ? 0x8000 : 0));
}

float random_float(Random& random) { return std::bit_cast<float>(static_cast<uint32_t>(random.next())); }

TEST(DType, NamesOfEveryFormatAreKnown) {
  EXPECT_EQ(dtype_from_name("q8_0").value(), DType::kQ8_0);
  EXPECT_EQ(dtype_from_safetensors("BF16").value(), DType::kBF16);
  EXPECT_EQ(dtype_from_ggml(30).value(), DType::kBF16);
  EXPECT_EQ(dtype_from_ggml(12).value(), DType::kQ4_K);
  EXPECT_EQ(dtype_from_ggml(9).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(dtype_from_safetensors("F8_E4M3").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(
      dtype_from_name("fp4").error().message,
      "expected a number type f32, f16, bf16, q8_0, i32, q4_0, q4_1, q5_0, q5_1, q2_K, q3_K, q4_K, q5_K, q6_K, "
      "iq4_nl or iq2_xxs, got 'fp4'");
  EXPECT_EQ(row_bytes(DType::kQ8_0, 64), 68U);
  EXPECT_EQ(row_bytes(DType::kBF16, 3), 6U);
}

TEST(DType, HalfKnownValues) {
  EXPECT_EQ(f32_to_f16(1.0F), 0x3C00);
  EXPECT_EQ(f32_to_f16(-2.0F), 0xC000);
  EXPECT_EQ(f32_to_f16(65504.0F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65519.99F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(f32_to_f16(0x1p-24F), 0x0001);
  EXPECT_EQ(f32_to_f16(0x1p-25F), 0x0000);  // a tie goes to even
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25F, 1.0F)), 0x0001);
  EXPECT_EQ(f32_to_f16(1.0F + 0x1p-11F), 0x3C00);      // tie to even, down
  EXPECT_EQ(f32_to_f16(1.0F + 3 * 0x1p-11F), 0x3C02);  // tie to even, up
  EXPECT_EQ(f32_to_f16(-0.0F), 0x8000);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::nanf("")))));
}

TEST(DType, EveryHalfSurvivesTheWayToFloatAndBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(f32_to_f16(value), bits);
  }
}

TEST(DType, HalfRoundsToNearestEven) {
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    // exponents around the range of f16, subnormals included
    const auto value =
        static_cast<float>((random.uniform() - 0.5) * std::exp2(static_cast<double>(random.below(40)) - 25));
    if (std::abs(value) >= 65504) continue;
    ASSERT_EQ(f32_to_f16(value), nearest_f16(value)) << value;
  }
}

TEST(DType, RowsConvertAsSingleNumbersDo) {
  Random random(2);
  std::vector<float> row(1000 + 7);
  for (float& x : row) x = random_float(random);
  const auto n = static_cast<int64_t>(row.size());
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    std::vector<char> bytes(2 * row.size() + 1);
    from_f32(dtype, row.data(), n, bytes.data() + 1);  // an odd address
    std::vector<float> back(row.size());
    to_f32(dtype, bytes.data() + 1, n, back.data());
    for (size_t i = 0; i < row.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, bytes.data() + 1 + 2 * i, 2);
      ASSERT_EQ(bits, dtype == DType::kF16 ? f32_to_f16(row[i]) : f32_to_bf16(row[i])) << row[i];
      const float expected = dtype == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
      ASSERT_EQ(std::bit_cast<uint32_t>(back[i]), std::bit_cast<uint32_t>(expected));
    }
  }
}

TEST(DType, BrainFloatRoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808000U)), 0x3F80);  // tie, even below
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F818000U)), 0x3F82);  // tie, even above
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808001U)), 0x3F81);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);  // rounds to infinity
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7F800001U)))));
}

TEST(DType, Q8BlockIsScaleAndRoundedBytes) {
  std::vector<float> row(32);
  for (int i = 0; i < 32; ++i) row[static_cast<size_t>(i)] = static_cast<float>(i - 16);
  row[0] = -127;  // d is exactly 1
  row[1] = 2.5F;
  row[2] = -2.5F;  // halves go away from zero, as roundf
  row[3] = 0.49999997F;
  std::vector<char> block(34);
  from_f32(DType::kQ8_0, row.data(), 32, block.data());
  uint16_t d;
  std::memcpy(&d, block.data(), 2);
  EXPECT_EQ(d, 0x3C00);
  EXPECT_EQ(static_cast<int>(static_cast<signed char>(block[2])), -127);
  EXPECT_EQ(static_cast<int>(block[3]), 3);
  EXPECT_EQ(static_cast<int>(static_cast<signed char>(block[4])), -3);
  EXPECT_EQ(static_cast<int>(block[5]), 0);
}

TEST(DType, Q8ErrorIsAtMostHalfAStep) {
  Random random(3);
  std::vector<float> row(32 * 64), back(row.size());
  for (float& x : row) x = static_cast<float>(random.normal() * 3);
  std::vector<char> bytes(row_bytes(DType::kQ8_0, static_cast<int64_t>(row.size())));
  from_f32(DType::kQ8_0, row.data(), static_cast<int64_t>(row.size()), bytes.data());
  to_f32(DType::kQ8_0, bytes.data(), static_cast<int64_t>(row.size()), back.data());
  for (size_t b = 0; b < row.size(); b += 32) {
    float largest = 0;
    for (size_t i = b; i < b + 32; ++i) largest = std::max(largest, std::abs(row[i]));
    const float step = largest / 127;
    for (size_t i = b; i < b + 32; ++i)
      ASSERT_LE(std::abs(row[i] - back[i]), step * 0.5F + largest * 0x1p-11F);
  }
}

TEST(DType, Q8OfOddNumbersIsDefined) {
  std::vector<float> row(32, 0.0F);
  row[1] = std::nanf("");
  row[2] = std::numeric_limits<float>::infinity();
  row[3] = std::numeric_limits<float>::denorm_min();
  std::vector<char> block(34);
  from_f32(DType::kQ8_0, row.data(), 32, block.data());
  const std::vector<float> zeros(32, 0.0F);
  from_f32(DType::kQ8_0, zeros.data(), 32, block.data());
  EXPECT_EQ(std::string(block.begin(), block.end()), std::string(34, '\0'));
}

TEST(TensorView, AllNumbersAsFloat) {
  const uint16_t halves[] = {0x3C00, 0xC000, 0x3800, 0x0000};
  const TensorView view{.dtype = DType::kF16, .shape = {2, 2}, .bytes = std::as_bytes(std::span(halves))};
  EXPECT_EQ(to_f32(view), (std::vector<float>{1, -2, 0.5F, 0}));
  EXPECT_EQ(view.rows(), 2);
  EXPECT_EQ(view.columns(), 2);
  EXPECT_EQ(view.count(), 4);
}

TEST(TensorView, IntegersAsFloat) {
  const float row[] = {1.4F, -7.0F, 1e20F, std::nanf("")};
  int32_t out[4];
  from_f32(DType::kI32, row, 4, out);
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[1], -7);
  EXPECT_EQ(out[2], INT32_MAX);
  EXPECT_EQ(out[3], 0);
}

}  // namespace
}  // namespace volant
