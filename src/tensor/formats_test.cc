// Every quantised type against a reading of its definition, number by number, that shares nothing with the
// code under test.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"
#include "tensor/block.h"

namespace volant {
namespace {

const std::vector<DType> kQuantised{DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,
                                    DType::kQ5_1, DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,
                                    DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ2_XXS};

double half_at(const uint8_t* p) {
  return static_cast<double>(f16_to_f32(static_cast<uint16_t>(p[0] | p[1] << 8)));
}

int bit(const uint8_t* p, int i) { return p[i / 8] >> (i % 8) & 1; }

// Scale and minimum `s` of the eight in the 12 bytes of q4_K and q5_K.
int k_scale(const uint8_t* p, int s) { return s < 4 ? p[s] % 64 : p[s + 4] % 16 + p[s - 4] / 64 * 16; }
int k_min(const uint8_t* p, int s) { return s < 4 ? p[s + 4] % 64 : p[s + 4] / 16 + p[s] / 64 * 16; }

// Number i of a block of 32.
double number_32(DType dtype, const uint8_t* p, int i) {
  const int nibble_at = i % 16;
  const auto nibble = [&](const uint8_t* q) { return i < 16 ? q[nibble_at] % 16 : q[nibble_at] / 16; };
  static const int kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  switch (dtype) {
    case DType::kQ8_0:
      return half_at(p) * static_cast<int8_t>(p[2 + i]);
    case DType::kQ4_0:
      return half_at(p) * (nibble(p + 2) - 8);
    case DType::kQ4_1:
      return half_at(p) * nibble(p + 4) + half_at(p + 2);
    case DType::kQ5_0:
      return half_at(p) * (nibble(p + 6) + 16 * bit(p + 2, i) - 16);
    case DType::kQ5_1:
      return half_at(p) * (nibble(p + 8) + 16 * bit(p + 4, i)) + half_at(p + 2);
    default:
      return half_at(p) * kTable[nibble(p + 2)];
  }
}

// Number i of a block of 256.
double number_256(DType dtype, const uint8_t* p, int i) {
  const int half = i / 128, in_half = i % 128, lane = i % 32, plane = in_half / 32;
  const auto two_bits = [&](const uint8_t* q) { return q[32 * half + lane] >> (2 * plane) & 3; };
  const auto nibble = [&](const uint8_t* q) {
    const uint8_t byte = q[i / 64 * 32 + lane];
    return i / 32 % 2 == 0 ? byte % 16 : byte / 16;
  };
  switch (dtype) {
    case DType::kQ2_K: {
      const int scales = p[i / 16];
      return half_at(p + 80) * (scales % 16) * two_bits(p + 16) - half_at(p + 82) * (scales / 16);
    }
    case DType::kQ3_K: {
      const int s = i / 16;
      const int low = s < 8 ? p[96 + s] % 16 : p[96 + s - 8] / 16;
      const int high = p[104 + s % 4] >> (2 * (s / 4)) & 3;
      const int code = two_bits(p + 32) - (p[lane] >> (4 * half + plane) & 1 ? 0 : 4);
      return half_at(p + 108) * (low + 16 * high - 32) * code;
    }
    case DType::kQ4_K:
      return half_at(p) * k_scale(p + 4, i / 32) * nibble(p + 16) - half_at(p + 2) * k_min(p + 4, i / 32);
    case DType::kQ5_K: {
      const int code = nibble(p + 48) + 16 * (p[16 + lane] >> (i / 32) & 1);
      return half_at(p) * k_scale(p + 4, i / 32) * code - half_at(p + 2) * k_min(p + 4, i / 32);
    }
    case DType::kQ6_K: {
      const uint8_t byte = p[64 * half + in_half % 64];
      const int code = (in_half < 64 ? byte % 16 : byte / 16) + 16 * two_bits(p + 128) - 32;
      return half_at(p + 208) * static_cast<int8_t>(p[192 + i / 16]) * code;
    }
    default:
      return 0;
  }
}

// A block of random bits whose f16 numbers are finite and of ordinary size.
std::vector<uint8_t> random_block(DType dtype, Random& random) {
  std::vector<uint8_t> bytes(static_cast<size_t>(dtype_info(dtype).block_bytes));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  const auto put_half = [&](size_t at) {
    const uint16_t bits = f32_to_f16(static_cast<float>(random.normal()));
    std::memcpy(bytes.data() + at, &bits, 2);
  };
  switch (dtype) {
    case DType::kQ2_K:
      put_half(80);
      put_half(82);
      break;
    case DType::kQ3_K:
      put_half(108);
      break;
    case DType::kQ6_K:
      put_half(208);
      break;
    default:
      put_half(0);
      if (block_shape(dtype).has_min) put_half(2);
  }
  return bytes;
}

class EachFormat : public ::testing::TestWithParam<DType> {
 protected:
  DType dtype() const { return GetParam(); }
  int block() const { return dtype_info(dtype()).block; }
  Random random_{11};
};
INSTANTIATE_TEST_SUITE_P(Quantised, EachFormat, ::testing::ValuesIn(kQuantised),
                         [](const auto& param) { return std::string(dtype_info(param.param).name); });

TEST_P(EachFormat, BlockMeansWhatItsDefinitionSays) {
  if (dtype() == DType::kIQ2_XXS) return;  // below
  std::vector<float> out(static_cast<size_t>(block()));
  for (int round = 0; round < 50; ++round) {
    const std::vector<uint8_t> bytes = random_block(dtype(), random_);
    to_f32(dtype(), bytes.data(), block(), out.data());
    for (int i = 0; i < block(); ++i) {
      const double expected =
          block() == 32 ? number_32(dtype(), bytes.data(), i) : number_256(dtype(), bytes.data(), i);
      ASSERT_EQ(out[static_cast<size_t>(i)], static_cast<float>(expected)) << i;
    }
  }
}

TEST_P(EachFormat, BlockComesBackAsItWent) {
  if (!dtype_info(dtype()).writable) return;
  for (int round = 0; round < 50; ++round) {
    const std::vector<uint8_t> bytes = random_block(dtype(), random_);
    Block parts;
    read_block(dtype(), bytes.data(), parts);
    std::vector<uint8_t> again(bytes.size(), 0xAA);
    write_block(dtype(), parts, again.data());
    ASSERT_EQ(again, bytes);
  }
}

struct Errors {
  double relative = 0;  // root of the mean square, of the numbers' own
  double weighted = 0;  // sum of weight * error^2
};
Errors errors_of(DType dtype, const std::vector<float>& row, const std::vector<float>& weight,
                 const float* importance) {
  const auto n = static_cast<int64_t>(row.size());
  std::vector<uint8_t> bytes(row_bytes(dtype, n));
  std::vector<float> back(row.size());
  from_f32(dtype, row.data(), n, bytes.data(), importance);
  to_f32(dtype, bytes.data(), n, back.data());
  double error = 0, size = 0, weighted = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double miss = static_cast<double>(row[i]) - static_cast<double>(back[i]);
    error += miss * miss;
    size += static_cast<double>(row[i]) * static_cast<double>(row[i]);
    weighted += static_cast<double>(weight[i]) * miss * miss;
  }
  return {std::sqrt(error / size), weighted};
}

// Bounds a little over what normal numbers give; a bit less of code about doubles the error.
double error_bound(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return 0.0060;
    case DType::kQ6_K:
      return 0.018;
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ5_K:
      return 0.042;
    case DType::kQ4_0:
      return 0.085;
    case DType::kQ4_1:
    case DType::kQ4_K:
    case DType::kIQ4_NL:
      return 0.080;
    case DType::kQ3_K:
      return 0.165;
    default:
      return 0.32;  // q2_K
  }
}

TEST_P(EachFormat, RoundTripErrorOfNormalNumbersIsBounded) {
  if (!dtype_info(dtype()).writable) return;
  std::vector<float> row(256 * 64);
  for (float& x : row) x = static_cast<float>(random_.normal() * 0.02);
  EXPECT_LT(errors_of(dtype(), row, row, nullptr).relative, error_bound(dtype()));
  EXPECT_GT(errors_of(dtype(), row, row, nullptr).relative, error_bound(dtype()) / 2);
}

TEST_P(EachFormat, ImportanceLowersTheWeightedError) {
  if (!dtype_info(dtype()).writable || dtype() == DType::kQ8_0) return;
  std::vector<float> row(256 * 64), importance(row.size());
  for (float& x : row) x = static_cast<float>(random_.normal());
  for (float& w : importance) w = static_cast<float>(std::exp(2 * random_.normal()));
  const double plain = errors_of(dtype(), row, importance, nullptr).weighted;
  EXPECT_LT(errors_of(dtype(), row, importance, importance.data()).weighted, 0.85 * plain);
}

TEST_P(EachFormat, OddNumbersGiveFiniteOnes) {
  if (!dtype_info(dtype()).writable || dtype() == DType::kQ8_0) return;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf(""), tiny = 1e-42F;
  const std::vector<std::vector<float>> patterns{
      {0},        {1},     {-1},          {nan},    {inf, 1}, {-inf}, {tiny}, {tiny, -tiny}, {65504, -65504},
      {1e38F, 2}, {1e-6F}, {5, 5, 5, -5}, {-3, -2}, {7, 6.5F}};
  const auto n = static_cast<size_t>(block());
  std::vector<uint8_t> bytes(row_bytes(dtype(), block()));
  std::vector<float> row(n), out(n);
  for (const std::vector<float>& pattern : patterns) {
    for (size_t i = 0; i < n; ++i) row[i] = pattern[i % pattern.size()];
    for (const std::vector<float>& importance :
         {std::vector<float>(n, 0.0F), std::vector<float>(n, nan), std::vector<float>(n, inf), row}) {
      from_f32(dtype(), row.data(), block(), bytes.data(), importance.data());
      to_f32(dtype(), bytes.data(), block(), out.data());
      for (const float x : out) ASSERT_TRUE(std::isfinite(x)) << pattern[0];
    }
    from_f32(dtype(), row.data(), block(), bytes.data());
    to_f32(dtype(), bytes.data(), block(), out.data());
    for (size_t i = 0; i < n; ++i) {
      ASSERT_TRUE(std::isfinite(out[i]));
      if (!(std::fabs(row[i]) > 1e-5F && std::fabs(row[i]) < 1e4F)) continue;
      if (std::isfinite(pattern[0])) {
        ASSERT_NEAR(out[i], row[i], 0.15F * std::fabs(pattern[0])) << pattern[0];
      }
    }
  }
}

// Signs, scale and patterns of iq2_xxs, one at a time.
TEST(IQ2XXS, BlockMeansWhatItsDefinitionSays) {
  std::vector<uint8_t> bytes(66);
  std::vector<float> out(256);
  const uint16_t d = f32_to_f16(-3);
  std::memcpy(bytes.data(), &d, 2);
  const uint8_t patterns[4] = {0, 1, 7, 255};
  std::memcpy(bytes.data() + 2 + 8 * 5, patterns, 4);
  // Scale 9: (0.5 + 9) / 4. Signs of the second pattern: the first and third, so the eighth is +.
  const uint32_t rest = 9U << 28 | 0b0000101U << 7 | 0b0000001U << 14;
  std::memcpy(bytes.data() + 2 + 8 * 5 + 4, &rest, 4);
  to_f32(DType::kIQ2_XXS, bytes.data(), 256, out.data());
  const float step = -3 * 9.5F / 4;
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[static_cast<size_t>(160 + i)], step * 8);
  const float second[8] = {-43, 8, -8, 8, 8, 8, 8, 8};  // pattern 1 begins with 43
  for (int i = 0; i < 8; ++i) EXPECT_EQ(out[static_cast<size_t>(168 + i)], step * second[i]) << i;
  EXPECT_LT(out[176] * step, 0);  // one sign is set, so the eighth is - too
  EXPECT_LT(out[183] * step, 0);
  EXPECT_GT(out[177] * step, 0);
  EXPECT_EQ(out[0], -3 * 0.125F * 8);
}

// FNV-1a over the sizes of all 256 patterns in order, as ggml's iq2xxs_grid gives it.
TEST(IQ2XXS, PatternsAreGgmls) {
  std::vector<uint8_t> bytes(66);
  std::vector<float> out(256);
  const uint16_t d = f32_to_f16(8);  // 8 * (0.5 + 0) / 4 = 1
  std::memcpy(bytes.data(), &d, 2);
  uint64_t hash = 0xcbf29ce484222325U;
  for (int first = 0; first < 256; first += 4) {
    for (int p = 0; p < 4; ++p) bytes[static_cast<size_t>(2 + p)] = static_cast<uint8_t>(first + p);
    to_f32(DType::kIQ2_XXS, bytes.data(), 256, out.data());
    for (size_t i = 0; i < 32; ++i) hash = (hash ^ static_cast<uint64_t>(out[i])) * 0x100000001b3U;
  }
  EXPECT_EQ(hash, 0xbb4ee025b5ac6e8eU);
}

}  // namespace
}  // namespace volant
