// NativeOps against plain loops, and its two promises: packed sequences do not see each other, and a row
// gives the same bits alone, in a batch, with a cache and without.
#include "ops/native/native_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/random.h"

namespace volant {
namespace {

std::vector<float> random_floats(Random& random, int64_t n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(random.normal());
  return x;
}

// A weight with the numbers that it really holds.
struct TestWeight {
  NativeWeight weight;
  std::vector<float> numbers;
};

TestWeight make_weight(ThreadPool& pool, Random& random, DType dtype, std::vector<int64_t> shape) {
  const TensorView shaped{dtype, shape, {}};
  const int64_t rows = shaped.rows(), columns = shaped.columns();
  const std::vector<float> numbers = random_floats(random, rows * columns);
  std::vector<std::byte> bytes(row_bytes(dtype, columns) * static_cast<size_t>(rows));
  if (!dtype_info(dtype).writable) {  // random blocks of iq2_xxs, which begin with the scale
    const uint16_t scale = f32_to_f16(0.01F);
    for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<std::byte>(random.next());
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(dtype_info(dtype).block_bytes)) {
      std::memcpy(bytes.data() + at, &scale, 2);
    }
    const TensorView view{dtype, std::move(shape), bytes};
    return {NativeWeight::load(view, pool).value(), to_f32(view)};
  }
  for (int64_t r = 0; r < rows; ++r) {
    from_f32(dtype, numbers.data() + r * columns, columns,
             bytes.data() + static_cast<size_t>(r) * row_bytes(dtype, columns));
  }
  const TensorView view{dtype, std::move(shape), bytes};
  return {NativeWeight::load(view, pool).value(), to_f32(view)};
}

// Rows of chosen numbers, made by reading them as an embedding.
NativeAct make_act(NativeOps& ops, ThreadPool& pool, const std::vector<float>& numbers, int64_t rows) {
  const auto columns = static_cast<int64_t>(numbers.size()) / rows;
  const TensorView view{DType::kF32, {rows, columns}, std::as_bytes(std::span(numbers))};
  const NativeWeight weight = NativeWeight::load(view, pool).value();
  std::vector<int32_t> ids(static_cast<size_t>(rows));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  return ops.embed(weight, ids);
}

std::vector<float> numbers_of(const NativeAct& act) {
  const auto numbers = act.numbers();
  return {numbers.begin(), numbers.end()};
}

class NativeOpsTest : public ::testing::Test {
 protected:
  ThreadPool pool_{3};
  Random random_{11};
};

TEST_F(NativeOpsTest, EmbedGivesTheRowsOfAnyType) {
  NativeOps ops(pool_, nullptr);
  for (int type = 0; type < kDTypes; ++type) {
    const auto dtype = static_cast<DType>(type);
    if (dtype == DType::kI32) continue;
    const TestWeight w = make_weight(pool_, random_, dtype, {50, 256});
    const NativeAct x = ops.embed(w.weight, std::vector<int32_t>{49, 0, 17});
    for (int64_t i = 0; i < 256; ++i) {
      ASSERT_EQ(x.row(0)[i], w.numbers[static_cast<size_t>(int64_t{49} * 256 + i)]) << dtype_info(dtype).name;
      ASSERT_EQ(x.row(2)[i], w.numbers[static_cast<size_t>(int64_t{17} * 256 + i)]) << dtype_info(dtype).name;
    }
  }
}

TEST_F(NativeOpsTest, LinearOfEveryQuantisedTypeDiffersByTheActivationsRoundingAlone) {
  NativeOps ops(pool_, nullptr);
  const int64_t rows = 5, in = 512, out = 50;
  const std::vector<float> numbers = random_floats(random_, rows * in);
  const NativeAct x = make_act(ops, pool_, numbers, rows);
  for (int type = 0; type < kDTypes; ++type) {
    const auto dtype = static_cast<DType>(type);
    if (!is_quantised(dtype)) continue;
    const TestWeight w = make_weight(pool_, random_, dtype, {out, in});
    const NativeAct y = ops.linear(x, w.weight);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < in; ++i) {
          const auto weight = static_cast<double>(w.numbers[static_cast<size_t>(o * in + i)]);
          sum += static_cast<double>(numbers[static_cast<size_t>(r * in + i)]) * weight;
          squares += weight * weight;
        }
        // A step of at most 4 / 127 makes errors of a third of it, which add up as their squares.
        ASSERT_NEAR(y.row(r)[o], sum, 5 * std::sqrt(squares) * 4 / 127 / 3.46) << dtype_info(dtype).name;
      }
    }
  }
}

TEST_F(NativeOpsTest, ObserverSeesTheRowsOfEveryProduct) {
  NativeOps ops(pool_, nullptr);
  const std::vector<float> numbers = random_floats(random_, int64_t{3} * 32);
  const NativeAct x = make_act(ops, pool_, numbers, 3);
  const TestWeight w = make_weight(pool_, random_, DType::kQ4_0, {8, 32});
  int seen = 0;
  ops.observe_inputs([&](const NativeWeight& weight, const NativeAct& act) {
    EXPECT_EQ(&weight, &w.weight);
    EXPECT_EQ(numbers_of(act), numbers);
    ++seen;
  });
  ops.linear(x, w.weight);
  ops.observe_inputs({});
  ops.linear(x, w.weight);
  EXPECT_EQ(seen, 1);
}

TEST_F(NativeOpsTest, LinearIsTheProductWithinEachTypesError) {
  NativeOps ops(pool_, nullptr);
  const int64_t rows = 7, in = 96, out = 130;
  const std::vector<float> numbers = random_floats(random_, rows * in);
  const NativeAct x = make_act(ops, pool_, numbers, rows);
  for (const auto& [dtype, tolerance] : std::vector<std::pair<DType, double>>{
           {DType::kF32, 1e-4}, {DType::kF16, 1e-4}, {DType::kBF16, 0.15}, {DType::kQ8_0, 0.3}}) {
    const TestWeight w = make_weight(pool_, random_, dtype, {out, in});
    for (int repeat = 0; repeat < 2; ++repeat) {  // the second uses what the first prepared
      const NativeAct y = ops.linear(x, w.weight);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < out; ++o) {
          double sum = 0;
          for (int64_t i = 0; i < in; ++i) {
            sum += static_cast<double>(numbers[static_cast<size_t>(r * in + i)]) *
                   static_cast<double>(w.numbers[static_cast<size_t>(o * in + i)]);
          }
          ASSERT_NEAR(y.row(r)[o], sum, tolerance) << dtype_info(dtype).name;
        }
      }
    }
  }
}

TEST_F(NativeOpsTest, WeightOfAnUnknownTypeIsRefused) {
  const std::vector<int32_t> ids(4);
  const auto weight = NativeWeight::load({DType::kI32, {2, 2}, std::as_bytes(std::span(ids))}, pool_);
  ASSERT_FALSE(weight);
  EXPECT_EQ(weight.error().code, ErrorCode::kUnsupported);
}

TEST_F(NativeOpsTest, AGateThatIsGivenUpMakesRoomForTheResult) {
  NativeOps ops(pool_, nullptr);
  const std::vector<float> a = random_floats(random_, int64_t{5} * 48),
                           b = random_floats(random_, int64_t{5} * 48);
  const NativeAct x = make_act(ops, pool_, a, 5), y = make_act(ops, pool_, b, 5);
  const NativeAct silu = ops.silu_mul(x, y), gelu = ops.gelu_mul(x, y, Gelu::kTanh);
  NativeAct gate = make_act(ops, pool_, a, 5);
  const float* at = gate.row(0);
  const NativeAct in_place = ops.silu_mul(std::move(gate), y);
  EXPECT_EQ(in_place.row(0), at);
  EXPECT_TRUE(std::ranges::equal(in_place.numbers(), silu.numbers()));
  const NativeAct other = ops.gelu_mul(make_act(ops, pool_, a, 5), y, Gelu::kTanh);
  EXPECT_TRUE(std::ranges::equal(other.numbers(), gelu.numbers()));
  EXPECT_TRUE(std::ranges::equal(x.numbers(), a));
}

TEST_F(NativeOpsTest, RowOpsEqualTheirDefinitions) {
  NativeOps ops(pool_, nullptr);
  const std::vector<float> a = random_floats(random_, int64_t{5} * 48),
                           b = random_floats(random_, int64_t{5} * 48);
  const NativeAct x = make_act(ops, pool_, a, 5), y = make_act(ops, pool_, b, 5);
  const NativeAct sum = ops.add(x, y), gated = ops.silu_mul(x, y);
  const TestWeight w = make_weight(pool_, random_, DType::kBF16, {48});
  const NativeAct normed = ops.rms_norm(x, w.weight, 1e-5F);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(sum.numbers()[i], a[i] + b[i]);
    EXPECT_NEAR(gated.numbers()[i], a[i] / (1 + std::exp(-a[i])) * b[i], 1e-5);
    double squares = 0;
    for (size_t j = i / 48 * 48; j < i / 48 * 48 + 48; ++j)
      squares += static_cast<double>(a[j]) * static_cast<double>(a[j]);
    const double expected =
        static_cast<double>(a[i]) / std::sqrt(squares / 48 + 1e-5) * static_cast<double>(w.numbers[i % 48]);
    EXPECT_NEAR(normed.numbers()[i], expected, 1e-5);
  }
  const NativeAct taken = ops.take_rows(x, std::vector<int32_t>{1, 4});
  EXPECT_TRUE(std::equal(taken.row(1), taken.row(1) + 48, a.begin() + int64_t{4} * 48));
}

TEST_F(NativeOpsTest, RopeTurnsByPosition) {
  NativeOps ops(pool_, nullptr);
  const std::vector<float> numbers = random_floats(random_, int64_t{3} * 8);
  const NativeAct x = make_act(ops, pool_, numbers, 3);
  const std::vector<int32_t> pos{0, 5, 700}, begins{0, 3}, tokens(3);
  const RopeSpec spec{.n_head = 2, .head_dim = 4, .inv_freq = {1.0F, 0.01F}};
  const NativeAct y =
      ops.rope(x, {.tokens = tokens, .pos = pos, .seq_begin = begins, .kv_slot = {}, .out_rows = {}}, spec);
  for (size_t r = 0; r < 3; ++r) {
    for (size_t h = 0; h < 2; ++h) {
      for (size_t i = 0; i < 2; ++i) {
        const double angle = pos[r] * static_cast<double>(spec.inv_freq[i]);
        const size_t low = r * 8 + h * 4 + i, high = low + 2;
        EXPECT_NEAR(y.numbers()[low], numbers[low] * std::cos(angle) - numbers[high] * std::sin(angle), 1e-5);
        EXPECT_NEAR(y.numbers()[high], numbers[high] * std::cos(angle) + numbers[low] * std::sin(angle),
                    1e-5);
      }
    }
  }
}

// Attention of `lengths` sequences of random rows, packed.
struct Packed {
  std::vector<int32_t> tokens, pos, begins{0};
  std::vector<float> q, k, v;
};

Packed random_sequences(Random& random, const std::vector<int64_t>& lengths, const AttentionSpec& spec) {
  Packed p;
  for (const int64_t n : lengths) {
    for (int64_t i = 0; i < n; ++i) p.pos.push_back(static_cast<int32_t>(i));
    p.begins.push_back(static_cast<int32_t>(p.pos.size()));
  }
  p.tokens.resize(p.pos.size());
  const auto rows = static_cast<int64_t>(p.pos.size());
  p.q = random_floats(random, rows * spec.n_head * spec.head_dim);
  p.k = random_floats(random, rows * spec.n_kv_head * spec.head_dim);
  p.v = random_floats(random, rows * spec.n_kv_head * spec.head_dim);
  return p;
}

TEST_F(NativeOpsTest, PackedSequencesDoNotSeeEachOtherNorTheFuture) {
  NativeOps ops(pool_, nullptr);
  const AttentionSpec spec{.layer = 0, .n_head = 4, .n_kv_head = 2, .head_dim = 8, .scale = 0.35F};
  const Packed p = random_sequences(random_, {5, 1, 40, 90}, spec);
  const auto rows = static_cast<int64_t>(p.pos.size());
  const NativeAct q = make_act(ops, pool_, p.q, rows), k = make_act(ops, pool_, p.k, rows),
                  v = make_act(ops, pool_, p.v, rows);
  const NativeAct out = ops.attention(
      q, k, v, {.tokens = p.tokens, .pos = p.pos, .seq_begin = p.begins, .kv_slot = {}, .out_rows = {}},
      spec);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t h = 0; h < 4; ++h) {
      const int64_t begin = r - p.pos[static_cast<size_t>(r)];
      std::vector<double> weights;
      double total = 0;
      for (int64_t t = begin; t <= r; ++t) {
        double score = 0;
        for (int64_t i = 0; i < 8; ++i)
          score += static_cast<double>(q.row(r)[h * 8 + i]) * static_cast<double>(k.row(t)[h / 2 * 8 + i]);
        weights.push_back(std::exp(score * 0.35));
        total += weights.back();
      }
      for (int64_t i = 0; i < 8; ++i) {
        double expected = 0;
        for (int64_t t = begin; t <= r; ++t) {
          expected +=
              weights[static_cast<size_t>(t - begin)] / total * static_cast<double>(v.row(t)[h / 2 * 8 + i]);
        }
        ASSERT_NEAR(out.row(r)[h * 8 + i], expected, 1e-5);
      }
    }
  }
}

TEST_F(NativeOpsTest, CacheGivesTheBitsOfOnePassWithAndWithoutAWindow) {
  for (const int window : {0, 9}) {
    const AttentionSpec spec{
        .layer = 1, .n_head = 4, .n_kv_head = 2, .head_dim = 12, .scale = 0.3F, .window = window};
    const KvCache cache =
        KvCache::create({.n_layer = 2, .n_kv_head = 2, .head_dim = 12, .n_slot = 3, .n_ctx = 100}).value();
    NativeOps ops(pool_, &cache);
    const int64_t n = 100;
    const Packed p = random_sequences(random_, {n}, spec);
    const NativeAct q = make_act(ops, pool_, p.q, n), k = make_act(ops, pool_, p.k, n),
                    v = make_act(ops, pool_, p.v, n);
    const std::vector<float> whole = numbers_of(ops.attention(
        q, k, v, {.tokens = p.tokens, .pos = p.pos, .seq_begin = p.begins, .kv_slot = {}, .out_rows = {}},
        spec));
    std::vector<float> pieces;
    const std::vector<int32_t> slot{2};
    for (int32_t begin = 0, size = 1; begin < n; begin += size, size = std::min<int32_t>(size * 2 + 1, 17)) {
      std::vector<int32_t> taken, begins{0};
      for (int32_t r = begin; r < std::min<int32_t>(begin + size, n); ++r) taken.push_back(r);
      begins.push_back(static_cast<int32_t>(taken.size()));
      const NativeAct out = ops.attention(
          ops.take_rows(q, taken), ops.take_rows(k, taken), ops.take_rows(v, taken),
          {.tokens = taken, .pos = taken, .seq_begin = begins, .kv_slot = slot, .out_rows = {}}, spec);
      pieces.insert(pieces.end(), out.numbers().begin(), out.numbers().end());
    }
    EXPECT_EQ(pieces, whole) << window;
  }
}

// A gated block with biases and residuals, and an output that no next product takes, as a model has them.
std::vector<float> gated_block(NativeOps& ops, const NativeAct& x, const std::vector<TestWeight>& w) {
  const NativeAct gate = ops.add_bias(ops.linear(x, w[0].weight), w[3].weight);
  const NativeAct up = ops.linear(x, w[1].weight), more = ops.scale(ops.linear(x, w[0].weight), 0.5F);
  const NativeAct inner = ops.add(ops.silu_mul(gate, up), more);
  const NativeAct y = ops.add(x, ops.linear(inner, w[2].weight));
  return numbers_of(ops.softcap(ops.rms_norm(y, w[4].weight, 1e-5F), 2));
}

TEST_F(NativeOpsTest, ProductsThatWaitGiveTheSameBits) {
  NativeOps at_once(pool_, nullptr), waiting(pool_, nullptr);
  const int64_t D = 256, F = 768;
  for (const DType dtype :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_K}) {
    const std::vector<std::vector<int64_t>> shapes{{F, D}, {F, D}, {D, F}, {F}, {D}};
    std::vector<TestWeight> w;
    w.reserve(shapes.size());
    for (const auto& shape : shapes)
      w.push_back(make_weight(pool_, random_, shape.size() == 1 ? DType::kF32 : dtype, shape));
    for (const int64_t rows : {1, 5, 40}) {  // 40: too many to wait
      const std::vector<float> numbers = random_floats(random_, rows * D);
      const std::vector<float> expected = gated_block(at_once, make_act(at_once, pool_, numbers, rows), w);
      const NativeOps::Pass pass(waiting);
      const std::vector<float> got = gated_block(waiting, make_act(waiting, pool_, numbers, rows), w);
      ASSERT_EQ(got, expected) << dtype_info(dtype).name << ", " << rows << " rows";
    }
  }
}

TEST_F(NativeOpsTest, PassesThatDifferFromTheOneBeforeGiveTheSameBits) {
  NativeOps at_once(pool_, nullptr), waiting(pool_, nullptr);
  const int64_t D = 256;
  std::vector<TestWeight> w;
  for (const int64_t n : {256, 512, 1024}) w.push_back(make_weight(pool_, random_, DType::kQ8_0, {n, D}));
  const NativeAct x = make_act(at_once, pool_, random_floats(random_, D), 1);
  const auto products = [&](NativeOps& ops, const std::vector<size_t>& order) {
    std::vector<float> sums;
    for (const size_t i : order) {
      const NativeAct y = ops.softcap(ops.linear(x, w[i].weight), 3), taken = ops.take_columns(y, 0, 256);
      sums.push_back(taken.row(0)[255]);
    }
    return sums;
  };
  for (const std::vector<size_t>& order :
       std::vector<std::vector<size_t>>{{0, 1, 2}, {0, 1, 2}, {2, 1}, {1}, {2, 2, 0, 1, 0}, {}, {0, 1, 2}}) {
    const std::vector<float> expected = products(at_once, order);
    const NativeOps::Pass pass(waiting);
    ASSERT_EQ(products(waiting, order), expected);
    if (order.size() == 2)
      w[0] = make_weight(pool_, random_, DType::kQ8_0, {256, D});  // the one noted is gone
  }
}

TEST_F(NativeOpsTest, WhatWaitsIsThereAfterThePassAlsoWithOutputsThatFillNoPanel) {
  NativeOps ops(pool_, nullptr);
  const std::vector<float> numbers = random_floats(random_, int64_t{2} * 32);
  const NativeAct x = make_act(ops, pool_, numbers, 2);
  const TestWeight odd = make_weight(pool_, random_, DType::kQ8_0, {51, 32});
  const TestWeight bias = make_weight(pool_, random_, DType::kF32, {51});
  const NativeAct expected = ops.add_bias(ops.linear(x, odd.weight), bias.weight);
  NativeAct y, unused;
  {
    const NativeOps::Pass pass(ops);
    unused = ops.linear(x, odd.weight);
    y = ops.add_bias(ops.linear(x, odd.weight), bias.weight);
  }
  EXPECT_EQ(numbers_of(y), numbers_of(expected));
}

TEST(MemoryTest, BuffersThatAreHeldAreNotTakenAgainBeforeTheirRelease) {
  BufferPool pool;
  pool.hold();
  std::byte* first = pool.take(1000).as<std::byte>();
  const BufferPool::Buffer second = pool.take(1000);
  EXPECT_NE(second.as<std::byte>(), first);
  pool.release();
  EXPECT_EQ(pool.take(1000).as<std::byte>(), first);
}

TEST(MemoryTest, PiecesOfAShelfStandApartAndOutliveIt) {
  std::vector<Shelf::Piece> pieces;
  {
    Shelf shelf;
    for (const size_t bytes : {size_t{100}, size_t{63} << 20, size_t{3} << 20, size_t{65} << 20, size_t{1}})
      pieces.push_back(shelf.take(bytes));
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    ASSERT_NE(pieces[i].data(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pieces[i].data()) % 64, 0U);
    pieces[i].data()[0] = pieces[i].data()[pieces[i].bytes() - 1] = static_cast<std::byte>(i + 1);
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].data()[0], static_cast<std::byte>(i + 1));
    EXPECT_EQ(pieces[i].data()[pieces[i].bytes() - 1], static_cast<std::byte>(i + 1));
  }
  EXPECT_EQ(Shelf().take(size_t{1} << 60).data(), nullptr);
}

TEST_F(NativeOpsTest, BuffersAreUsedAgain) {
  NativeOps ops(pool_, nullptr);
  const std::vector<float> numbers = random_floats(random_, int64_t{8} * 64);
  const TestWeight w = make_weight(pool_, random_, DType::kQ8_0, {64, 64});
  const NativeAct x = make_act(ops, pool_, numbers, 8);
  const auto step = [&] {
    return ops.add(ops.linear(x, w.weight), ops.linear(ops.silu_mul(x, x), w.weight));
  };
  step();
  const size_t before = ops.activation_bytes();
  for (int i = 0; i < 20; ++i) step();
  EXPECT_EQ(ops.activation_bytes(), before);
}

TEST(KvCacheTest, MoreThanTheAddressSpaceIsAnError) {
  const auto cache = KvCache::create(
      {.n_layer = 1000, .n_kv_head = 1000, .head_dim = 256, .n_slot = 1024, .n_ctx = 1 << 22});
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace volant
