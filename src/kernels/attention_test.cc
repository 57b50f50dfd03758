// How keys and values are stored, and attention over pages of them on every table that this processor can
// run, against plain double loops.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/test_tables.h"

namespace volant {
namespace {

using testing::EachTable;
using testing::Guarded;
using testing::random_floats;

// Keys and values of n positions in blocks whose order is shuffled, with a broken block between any two: all
// that was not written is NaN.
struct Cache {
  KvLayout layout;
  std::vector<std::byte> bytes;
  std::vector<int32_t> pages;
  std::vector<float> keys, values;  // [n, head_dim], as they were written

  // What is stored, read as the layout says it.
  double stored(bool key, int64_t pos, int64_t i) const {
    const int64_t d = layout.head_dim, p = pos % 64;
    const std::byte* block = bytes.data() + pages[static_cast<size_t>(pos / 64)] * layout.bytes;
    const int64_t at = key ? (p / 16 * d + i) * 16 + p % 16 : p * layout.value_stride + i;
    const std::byte* numbers = block + (key ? 0 : layout.values_at);
    if (layout.type == DType::kF32) return static_cast<double>(reinterpret_cast<const float*>(numbers)[at]);
    if (layout.type == DType::kF16)
      return static_cast<double>(f16_to_f32(reinterpret_cast<const uint16_t*>(numbers)[at]));
    const std::byte* scales = block + (key ? layout.key_scales_at : layout.value_scales_at);
    const float scale = f16_to_f32(reinterpret_cast<const uint16_t*>(scales)[i / 32 * 64 + p]);
    return static_cast<double>(reinterpret_cast<const int8_t*>(numbers)[at]) * static_cast<double>(scale);
  }
  AttentionArgs args() const {
    return {.kv = layout, .blocks = bytes.data(), .block_stride = layout.bytes, .pages = pages.data()};
  }
};

Cache random_cache(Random& random, int64_t n, int64_t head_dim, DType type = DType::kF32) {
  const int64_t n_block = (n + 63) / 64;
  Cache cache{KvLayout::of(type, head_dim), {}, {}, random_floats(random, n * head_dim, 2), {}};
  for (int64_t i = 0; i < n * head_dim; ++i) cache.values.push_back(static_cast<float>(random.normal()));
  cache.bytes.assign(static_cast<size_t>((2 * n_block + 1) * cache.layout.bytes), std::byte{0xFF});
  for (int64_t i = 0; i < n_block; ++i) {
    cache.pages.push_back(static_cast<int32_t>(2 * i + 1));
    const auto other = static_cast<size_t>(random.below(static_cast<uint64_t>(i) + 1));
    std::swap(cache.pages.back(), cache.pages[other]);
  }
  for (int64_t p = 0; p < n; ++p) {
    std::byte* block = cache.bytes.data() + cache.pages[static_cast<size_t>(p / 64)] * cache.layout.bytes;
    cache.layout.write(block, p % 64, cache.keys.data() + p * head_dim, cache.values.data() + p * head_dim);
  }
  return cache;
}

TEST(KvLayout, StoresNumbersWithinTheRoundingOfTheirTypeAndNothingElse) {
  Random random(5);
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ8_0}) {
    for (const int64_t d : {4, 16, 48, 130, 256}) {
      const Cache cache = random_cache(random, 100, d, type);
      double worst = 0;
      for (int64_t p = 0; p < 100; ++p) {
        for (int64_t i = 0; i < d; ++i) {
          const auto at = static_cast<size_t>(p * d + i);
          for (const bool key : {true, false}) {
            const auto x = static_cast<double>((key ? cache.keys : cache.values)[at]);
            double largest = 0;  // of the numbers that share a scale
            for (int64_t j = i / 32 * 32; j < std::min(d, i / 32 * 32 + 32); ++j) {
              const float each = (key ? cache.keys : cache.values)[static_cast<size_t>(p * d + j)];
              largest = std::max(largest, static_cast<double>(std::abs(each)));
            }
            const double bound = type == DType::kF32   ? 0
                                 : type == DType::kF16 ? std::abs(x) * 0x1p-11 + 0x1p-24
                                                       : largest / 127 * 0.5 + largest * 0x1p-10;
            const double error = std::abs(cache.stored(key, p, i) - x);
            ASSERT_LE(error, bound) << dtype_info(type).name << " head_dim " << d;
            worst = std::max(worst, error);
          }
        }
      }
      EXPECT_EQ(worst > 6e-3, type == DType::kQ8_0);  // which is really stored in 8 bits
      // The pages between are as they were.
      for (int64_t block = 0; block * cache.layout.bytes < std::ssize(cache.bytes); block += 2) {
        const auto* begin = cache.bytes.data() + block * cache.layout.bytes;
        ASSERT_TRUE(
            std::all_of(begin, begin + cache.layout.bytes, [](std::byte b) { return b == std::byte{0xFF}; }));
      }
    }
  }
}

TEST(KvLayout, NumbersBeyondF16AreCutAndZeroesStayZero) {
  const KvLayout layout = KvLayout::of(DType::kQ8_0, 4);
  std::vector<std::byte> block(static_cast<size_t>(layout.bytes));
  const float zeros[4] = {}, big[4] = {1e30F, -1, 0, 1e9F};
  layout.write(block.data(), 3, zeros, big);
  const auto* scales = reinterpret_cast<const uint16_t*>(block.data() + layout.value_scales_at);
  EXPECT_TRUE(std::isfinite(f16_to_f32(scales[3])));
  EXPECT_EQ(reinterpret_cast<const uint16_t*>(block.data() + layout.key_scales_at)[3], 0);
}

// Over the positions first ... last.
std::vector<double> plain_attention(const Cache& cache, const float* q, int64_t head_dim, int64_t first,
                                    int64_t last, double scale, double softcap) {
  std::vector<double> scores, out(static_cast<size_t>(head_dim), 0.0);
  double largest = -1e300, total = 0;
  for (int64_t p = first; p <= last; ++p) {
    double s = 0;
    for (int64_t i = 0; i < head_dim; ++i) {
      s += static_cast<double>(q[i]) * cache.stored(true, p, i);
    }
    scores.push_back(softcap > 0 ? softcap * std::tanh(s * scale / softcap) : s * scale);
    largest = std::max(largest, scores.back());
  }
  for (int64_t p = first; p <= last; ++p) {
    const double w = std::exp(scores[static_cast<size_t>(p - first)] - largest);
    total += w;
    for (int64_t i = 0; i < head_dim; ++i) out[static_cast<size_t>(i)] += w * cache.stored(false, p, i);
  }
  for (double& v : out) v /= total;
  return out;
}

constexpr DType kKvTypes[] = {DType::kF32, DType::kF16, DType::kQ8_0};

TEST_P(EachTable, AttentionEqualsPlainSoftmaxOverEarlierPositions) {
  for (const int64_t head_dim : {4, 8, 16, 48, 64, 130}) {
    for (const int64_t first_pos : {0, 1, 15, 63, 64, 150}) {
      for (const int64_t n_rows : {1, 3, 9, 70}) {
        const DType type = kKvTypes[(head_dim / 2 + first_pos + n_rows) % 3];
        SCOPED_TRACE(fmt::format("{} head_dim {} first {} rows {}", dtype_info(type).name, head_dim,
                                 first_pos, n_rows));
        const int64_t n_group = head_dim == 48 ? 1 : 3, width = n_group * head_dim;
        const Cache cache = random_cache(random_, first_pos + n_rows, head_dim, type);
        const std::vector<float> q = random_floats(random_, n_rows * width);
        Guarded out(n_rows * width);
        AttentionArgs args = cache.args();
        args.q = q.data();
        args.q_stride = args.out_stride = width;
        args.n_rows = n_rows;
        args.n_group = n_group;
        args.first_pos = first_pos;
        args.scale = 0.3F;
        args.out = out.data();
        k().attention(args);
        EXPECT_TRUE(out.intact());
        for (int64_t r = 0; r < n_rows; ++r) {
          for (int64_t g = 0; g < n_group; ++g) {
            const int64_t at = r * width + g * head_dim;
            const std::vector<double> expected = plain_attention(cache, q.data() + at, head_dim, 0,
                                                                 first_pos + r, static_cast<double>(0.3F), 0);
            for (int64_t i = 0; i < head_dim; ++i) {
              ASSERT_NEAR(out.data()[at + i], expected[static_cast<size_t>(i)], 2e-5);
            }
          }
        }
      }
    }
  }
}

TEST_P(EachTable, AttentionWithAWindowASoftcapOrWithoutOrderSeesWhatItShould) {
  const int64_t head_dim = 24, n_group = 2, width = n_group * head_dim;
  struct Case {
    int64_t first_pos, n_rows, n_pos, window;
    float softcap;
  };
  for (const DType type : kKvTypes) {
    for (const Case& c : std::vector<Case>{{0, 70, 0, 8, 0},
                                           {0, 70, 0, 1, 0},
                                           {130, 40, 0, 65, 0},
                                           {0, 200, 0, 70, 5},
                                           {63, 5, 0, 500, 2},
                                           {0, 33, 33, 0, 0},
                                           {0, 3, 90, 0, 4}}) {
      SCOPED_TRACE(fmt::format("{} first {} rows {} of {} window {}", dtype_info(type).name, c.first_pos,
                               c.n_rows, c.n_pos, c.window));
      const int64_t n = std::max(c.n_pos, c.first_pos + c.n_rows);
      const Cache cache = random_cache(random_, n, head_dim, type);
      const std::vector<float> q = random_floats(random_, c.n_rows * width);
      Guarded out(c.n_rows * width);
      AttentionArgs args = cache.args();
      args.q = q.data();
      args.q_stride = args.out_stride = width;
      args.n_rows = c.n_rows;
      args.n_group = n_group;
      args.first_pos = c.first_pos;
      args.n_pos = c.n_pos;
      args.window = c.window;
      args.scale = 0.3F;
      args.softcap = c.softcap;
      args.out = out.data();
      k().attention(args);
      EXPECT_TRUE(out.intact());
      for (int64_t v = 0; v < c.n_rows * n_group; ++v) {
        const int64_t pos = c.first_pos + v / n_group;
        const int64_t first = c.window > 0 ? std::max<int64_t>(0, pos + 1 - c.window) : 0;
        const std::vector<double> expected =
            plain_attention(cache, q.data() + v * head_dim, head_dim, first, c.n_pos > 0 ? c.n_pos - 1 : pos,
                            static_cast<double>(0.3F), static_cast<double>(c.softcap));
        for (int64_t i = 0; i < head_dim; ++i)
          ASSERT_NEAR(out.data()[v * head_dim + i], expected[static_cast<size_t>(i)], 2e-5) << "vector " << v;
      }
    }
  }
}

TEST_P(EachTable, AttentionOfARowDoesNotDependOnHowThePromptWasCut) {
  const int64_t head_dim = 48, n = 140;
  for (const DType type : kKvTypes) {
    for (const int64_t window : {0, 5, 80}) {
      const Cache cache = random_cache(random_, n, head_dim, type);
      const std::vector<float> q = random_floats(random_, n * head_dim);
      std::vector<float> whole(q.size()), cut(q.size());
      AttentionArgs args = cache.args();
      args.q = q.data();
      args.q_stride = args.out_stride = head_dim;
      args.n_rows = n;
      args.window = window;
      args.scale = 0.2F;
      args.out = whole.data();
      k().attention(args);
      for (int64_t begin = 0, size = 1; begin < n; begin += size, size = size % 37 + 9) {
        args.n_rows = std::min(size, n - begin);
        args.first_pos = begin;
        args.q = q.data() + begin * head_dim;
        args.out = cut.data() + begin * head_dim;
        k().attention(args);
      }
      EXPECT_EQ(whole, cut) << dtype_info(type).name << " window " << window;
    }
  }
}

}  // namespace
}  // namespace volant
