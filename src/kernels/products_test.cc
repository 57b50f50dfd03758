// Products with weights of every type, and the panels that they are packed into: every table that this
// processor can run, against plain double loops over the unpacked numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
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
  for (const int64_t n_rows : {1, 2, 3, 5, 6, 7, 12, 13, 35}) {
    for (const int64_t n_out : {1, 15, 16, 17, 33, 100}) {
      for (const int64_t n_in : {1, 2, 7, 48, 65}) {
        for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
          check_product(k(), dtype, n_rows, n_in, n_out, random_);
        }
      }
      for (const DType dtype : kQuantised) {
        for (const int64_t n_block : {1, 3, 7}) {
          check_product(k(), dtype, n_rows, n_block * dtype_info(dtype).block, n_out, random_);
        }
      }
    }
  }
}

TEST_P(EachTable, RowGivesTheSameBitsAloneAndInABatch) {
  std::vector<DType> dtypes{DType::kF32, DType::kF16, DType::kBF16};
  dtypes.insert(dtypes.end(), std::begin(kQuantised), std::end(kQuantised));
  const int64_t n_most = 37, n_in = 1792, n_out = 100;
  for (const DType dtype : dtypes) {
    Product p = make_product(k(), dtype, n_most, n_in, n_out, random_);
    const auto multiply = [&](int64_t row, int64_t n_rows) {
      std::vector<float> y(static_cast<size_t>(n_rows * n_out));
      MatmulArgs args = p.args;
      const int64_t size = is_quantised(dtype) ? 1 : dtype == DType::kBF16 ? 2 : 4;
      args.x = static_cast<const std::byte*>(args.x) + row * args.x_stride * size;
      if (is_quantised(dtype)) {
        args.x_scales += row * (n_in / kQ8Block);
        args.x_sums += row * (n_in / kSumBlock);
      }
      args.n_rows = n_rows;
      args.y = y.data();
      args.y_stride = n_out;
      k().matmul[dtype](args);
      return y;
    };
    std::vector<float> alone;
    for (int64_t row = 0; row < n_most; ++row) std::ranges::copy(multiply(row, 1), std::back_inserter(alone));
    for (const int64_t n_rows : {2, 4, 5, 8, 16, 23, 31, 37}) {
      const std::vector<float> together = multiply(0, n_rows);
      for (size_t i = 0; i < together.size(); ++i)
        ASSERT_EQ(alone[i], together[i]) << dtype_info(dtype).name << ", " << n_rows << " rows";
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

}  // namespace
}  // namespace volant
