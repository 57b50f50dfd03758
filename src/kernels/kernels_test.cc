// Every table that this processor can run, against plain double loops over the unpacked numbers.
#include "kernels/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "kernels/pack.h"
#include "kernels/test_tables.h"

namespace volant {
namespace {

using testing::EachTable;
using testing::Guarded;
using testing::kGuard;
using testing::random_floats;

// Of the other files too that test each table.
INSTANTIATE_TEST_SUITE_P(Host, EachTable, ::testing::ValuesIn(host_kernels().begin(), host_kernels().end()),
                         [](const auto& table) { return std::string(table.param->name); });

constexpr DType kQuantised[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,
                                DType::kQ5_1, DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,
                                DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ2_XXS};

// Memory that ends where the process may read no further.
class Fenced {
 public:
  explicit Fenced(size_t bytes) : bytes_(bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_ = (bytes + page - 1) / page * page + page;
    base_ = static_cast<std::byte*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(base_ != MAP_FAILED && mprotect(base_ + size_ - page, page, PROT_NONE) == 0);
    data_ = base_ + size_ - page - bytes;
  }
  Fenced(const Fenced&) = delete;
  Fenced(Fenced&& other) noexcept { swap(other); }
  Fenced& operator=(Fenced&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Fenced() {
    if (base_ != nullptr) munmap(base_, size_);
  }
  template <class T = std::byte>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  void swap(Fenced& other) {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(base_, other.base_);
    std::swap(data_, other.data_);
  }
  size_t bytes_ = 0, size_ = 0;
  std::byte *base_ = nullptr, *data_ = nullptr;
};

// Rows [n_out, n_in] of random blocks: all codes, small scales and minimums occur.
std::vector<std::byte> random_rows(DType dtype, int64_t n_out, int64_t n_in, Random& random) {
  std::vector<std::byte> rows(row_bytes(dtype, n_in) * static_cast<size_t>(n_out));
  if (!is_quantised(dtype)) {
    const std::vector<float> w = random_floats(random, n_out * n_in);
    from_f32(dtype, w.data(), n_out * n_in, rows.data());
    return rows;
  }
  for (std::byte& byte : rows) byte = static_cast<std::byte>(random.next());
  const auto block_bytes = static_cast<size_t>(dtype_info(dtype).block_bytes);
  for (size_t at = 0; at < rows.size(); at += block_bytes) {
    const uint16_t scale = f32_to_f16(static_cast<float>(random.normal() * 0.01));
    const uint16_t min = f32_to_f16(static_cast<float>(random.normal() * 0.01));
    if (!dtype_info(dtype).writable) {
      std::memcpy(rows.data() + at, &scale, 2);
      continue;
    }
    Block block;
    read_block(dtype, rows.data() + at, block);
    block.scale = scale;
    block.min = min;
    write_block(dtype, block, rows.data() + at);
  }
  return rows;
}

struct Product {
  std::vector<float> x, w;  // as the product takes them
  Fenced packed{0}, scales{0};
  std::vector<uint16_t> x_bf16;
  std::vector<int8_t> x_q8;
  std::vector<float> x_scales;
  std::vector<int32_t> x_sums;
  MatmulArgs args;
};

// x [n_rows, n_in] in the form that the product of `dtype` takes, and packed random weights.
Product make_product(const Kernels& k, DType dtype, int64_t n_rows, int64_t n_in, int64_t n_out,
                     Random& random) {
  Product p;
  p.x = random_floats(random, n_rows * n_in);
  const std::vector<std::byte> rows = random_rows(dtype, n_out, n_in, random);
  p.w.resize(static_cast<size_t>(n_out * n_in));
  to_f32(dtype, rows.data(), n_out * n_in, p.w.data());
  p.packed = Fenced(packed_bytes(dtype, n_out, n_in));
  p.scales = Fenced(packed_scale_bytes(dtype, n_out, n_in));
  pack_panels(dtype, rows.data(), n_out, n_in, 0, panel_count(n_out), p.packed.as(), p.scales.as());
  p.args.n_rows = n_rows;
  p.args.n_in = n_in;
  p.args.n_out = n_out;
  p.args.panel_end = panel_count(n_out);
  p.args.w = p.packed.as();
  p.args.w_scales = p.scales.as();
  p.args.x = p.x.data();
  p.args.x_stride = n_in;
  if (dtype == DType::kBF16) {
    p.args.x_stride = (n_in + 1) / 2 * 2;
    p.x_bf16.resize(static_cast<size_t>(n_rows * p.args.x_stride));
    for (int64_t r = 0; r < n_rows; ++r)
      k.to_bf16(p.x.data() + r * n_in, n_in, p.x_bf16.data() + r * p.args.x_stride);
    for (size_t i = 0; i < p.x.size(); ++i) p.x[i] = bf16_to_f32(f32_to_bf16(p.x[i]));
    p.args.x = p.x_bf16.data();
  } else if (is_quantised(dtype)) {
    const int64_t n_block = n_in / kQ8Block;
    p.x_q8.resize(p.x.size());
    p.x_scales.resize(static_cast<size_t>(n_rows * n_block));
    p.x_sums.resize(static_cast<size_t>(n_rows * n_in / kSumBlock));
    for (int64_t r = 0; r < n_rows; ++r) {
      k.quantize_q8(p.x.data() + r * n_in, n_in, p.x_q8.data() + r * n_in, p.x_scales.data() + r * n_block,
                    p.x_sums.data() + r * (n_in / kSumBlock));
    }
    for (size_t i = 0; i < p.x.size(); ++i) {
      const auto row = static_cast<int64_t>(i) / n_in, column = static_cast<int64_t>(i) % n_in;
      p.x[i] =
          static_cast<float>(p.x_q8[i]) * p.x_scales[static_cast<size_t>(row * n_block + column / kQ8Block)];
    }
    p.args.x = p.x_q8.data();
    p.args.x_scales = p.x_scales.data();
    p.args.x_sums = p.x_sums.data();
  }
  return p;
}

void check_product(const Kernels& k, DType dtype, int64_t n_rows, int64_t n_in, int64_t n_out,
                   Random& random) {
  SCOPED_TRACE(fmt::format("{} {} x {} -> {}", dtype_info(dtype).name, n_rows, n_in, n_out));
  Product p = make_product(k, dtype, n_rows, n_in, n_out, random);
  Guarded y(n_rows * n_out);
  p.args.y = y.data();
  p.args.y_stride = n_out;
  k.matmul[dtype](p.args);
  EXPECT_TRUE(y.intact());
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t o = 0; o < n_out; ++o) {
      double sum = 0, magnitude = 0, largest = 0;
      for (int64_t i = 0; i < n_in; ++i) {
        const double term = static_cast<double>(p.x[static_cast<size_t>(r * n_in + i)]) *
                            static_cast<double>(p.w[static_cast<size_t>(o * n_in + i)]);
        sum += term;
        magnitude += std::fabs(static_cast<double>(p.x[static_cast<size_t>(r * n_in + i)]));
        largest = std::max(largest, std::fabs(static_cast<double>(p.w[static_cast<size_t>(o * n_in + i)])));
      }
      ASSERT_NEAR(y.data()[r * n_out + o], sum, 1e-6 * magnitude * largest + 1e-7)
          << "row " << r << " output " << o;
    }
  }
}

TEST_P(EachTable, ProductsEqualPlainLoopsForAllTypesAndOddSizes) {
  for (const int64_t n_rows : {1, 2, 3, 5, 6, 7, 12, 13, 25}) {
    for (const int64_t n_out : {1, 15, 16, 17, 33, 100}) {
      for (const int64_t n_in : {1, 2, 7, 48, 65}) {
        for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
          check_product(k(), dtype, n_rows, n_in, n_out, random_);
        }
      }
      for (const DType dtype : kQuantised) {
        for (const int64_t n_block : {1, 3}) {
          check_product(k(), dtype, n_rows, n_block * dtype_info(dtype).block, n_out, random_);
        }
      }
    }
  }
}

TEST_P(EachTable, RowGivesTheSameBitsAloneAndInABatch) {
  std::vector<DType> dtypes{DType::kF32, DType::kF16, DType::kBF16};
  dtypes.insert(dtypes.end(), std::begin(kQuantised), std::end(kQuantised));
  const int64_t n_in = 512, n_out = 200;
  for (const DType dtype : dtypes) {
    Product p = make_product(k(), dtype, 13, n_in, n_out, random_);
    std::vector<float> together(13 * n_out), alone(n_out);
    p.args.y = together.data();
    p.args.y_stride = n_out;
    k().matmul[dtype](p.args);
    for (int64_t row = 0; row < 13; ++row) {
      MatmulArgs one = p.args;
      const int64_t size = is_quantised(dtype) ? 1 : dtype == DType::kBF16 ? 2 : 4;
      one.x = static_cast<const std::byte*>(p.args.x) + row * p.args.x_stride * size;
      if (is_quantised(dtype)) {
        one.x_scales += row * (n_in / kQ8Block);
        one.x_sums += row * (n_in / kSumBlock);
      }
      one.n_rows = 1;
      one.y = alone.data();
      k().matmul[dtype](one);
      for (size_t i = 0; i < n_out; ++i) {
        ASSERT_EQ(alone[i], together[static_cast<size_t>(row * n_out) + i]) << dtype_info(dtype).name;
      }
    }
  }
}

TEST_P(EachTable, ShiftedProductReadsEachInputsWeightsWhereTheyStand) {
  for (const int64_t n_rows : {1, 2, 5, 12, 13, 31}) {
    for (const int64_t n_out : {1, 16, 17, 100}) {
      const int64_t n_in = 9, n_weights = 300, panels = panel_count(n_out);
      const std::vector<float> x = random_floats(random_, n_rows * n_in),
                               w = random_floats(random_, n_weights);
      const Fenced fenced(w.size() * sizeof(float));
      std::memcpy(fenced.as(), w.data(), w.size() * sizeof(float));
      std::vector<int64_t> at;
      for (int64_t i = 0; i < n_in; ++i)
        at.push_back(
            i == 0 ? n_weights - panels * kPanel
                   : static_cast<int64_t>(random_.below(static_cast<uint64_t>(n_weights - panels * kPanel))));
      Guarded y(n_rows * n_out);
      k().matmul_shifted({.x = x.data(),
                          .x_stride = n_in,
                          .n_rows = n_rows,
                          .w = fenced.as<float>(),
                          .w_at = at.data(),
                          .n_in = n_in,
                          .n_out = n_out,
                          .panel_begin = 0,
                          .panel_end = panels,
                          .y = y.data(),
                          .y_stride = n_out});
      ASSERT_TRUE(y.intact());
      for (int64_t r = 0; r < n_rows; ++r)
        for (int64_t o = 0; o < n_out; ++o) {
          double sum = 0;
          for (int64_t i = 0; i < n_in; ++i)
            sum += static_cast<double>(x[static_cast<size_t>(r * n_in + i)]) *
                   static_cast<double>(w[static_cast<size_t>(at[static_cast<size_t>(i)] + o)]);
          ASSERT_NEAR(y.data()[r * n_out + o], sum, 1e-5 * (1 + std::abs(sum)));
        }
    }
  }
}

TEST_P(EachTable, OnlyTheNamedPanelsAreWritten) {
  Product p = make_product(k(), DType::kF32, 3, 40, 100, random_);
  std::vector<float> y(300, kGuard);
  p.args.y = y.data();
  p.args.y_stride = 100;
  p.args.panel_begin = 2;
  p.args.panel_end = 4;
  k().matmul[DType::kF32](p.args);
  for (int64_t i = 0; i < 300; ++i) {
    const bool inside = i % 100 >= 32 && i % 100 < 64;
    EXPECT_EQ(y[static_cast<size_t>(i)] != kGuard, inside) << i;
  }
}

TEST(Pack, RowsComeBackAsTheyWent) {
  Random random(3);
  std::vector<DType> dtypes{DType::kF32, DType::kF16, DType::kBF16};
  dtypes.insert(dtypes.end(), std::begin(kQuantised), std::end(kQuantised));
  const int64_t n_in = 512;
  for (const DType dtype : dtypes) {
    const Product p = make_product(*host_kernels()[0], dtype, 1, n_in, 37, random);
    std::vector<float> row(n_in);
    for (int64_t r = 0; r < 37; ++r) {
      unpack_row(dtype, p.packed.as(), p.scales.as(), n_in, r, row.data());
      ASSERT_THAT(row, ::testing::ElementsAreArray(p.w.data() + r * n_in, n_in)) << dtype_info(dtype).name;
    }
  }
}

// Decode reads all weights once a token: what the panels add to the file's bytes, it costs.
TEST(Pack, PanelsHoldNoMoreBitsThanTheFile) {
  const int64_t n = 1024;
  for (const DType dtype : kQuantised) {
    const auto packed = static_cast<double>(packed_bytes(dtype, n, n) + packed_scale_bytes(dtype, n, n));
    const auto file = static_cast<double>(row_bytes(dtype, n) * n);
    // Six-bit scales take a byte; the three bits of iq2_xxs's codes stand for two and a share of the
    // patterns.
    const double most = dtype == DType::kIQ2_XXS ? 1.61 : dtype == DType::kQ3_K ? 1.04 : 1.028;
    EXPECT_LE(packed, most * file) << dtype_info(dtype).name;
  }
}

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
