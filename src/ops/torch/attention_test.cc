// The attention kernels of training against the plain formula in double, in f32 and in bf16: sequences
// shorter and longer than a block of queries and a panel of keys, heads that do not fill a vector.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"
#include "ops/torch/kernels.h"

namespace volant::torch_ops {
namespace {

const std::vector<int32_t> kSeqBegin = {0, 149, 150, 183, 185};
constexpr int kRows = 185;

struct Case {
  const char* name;
  int n_head, n_kv_head, head_dim, window = 0;
  float softcap = 0;
  bool causal = true;
};

// Numbers of one tensor in f32 or bf16, between numbers that nobody may change.
class Guarded {
 public:
  Guarded(int64_t columns, bool bf16, uint64_t seed = 0)
      : bf16_(bf16), count_(static_cast<size_t>(columns) * kRows) {
    Random random(seed);
    floats_.assign(count_ + 2 * kGuard, kGuardNumber);
    halves_.assign(count_ + 2 * kGuard, kGuardBits);
    for (size_t i = 0; i < count_ && seed != 0; ++i) {
      floats_[kGuard + i] = static_cast<float>(random.normal());
      if (bf16) halves_[kGuard + i] = static_cast<uint16_t>(bits(floats_[kGuard + i]) >> 16);
    }
  }
  ~Guarded() {
    for (size_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(floats_[i], kGuardNumber);
      EXPECT_EQ(floats_[kGuard + count_ + i], kGuardNumber);
      EXPECT_EQ(halves_[i], kGuardBits);
      EXPECT_EQ(halves_[kGuard + count_ + i], kGuardBits);
    }
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  void* data() { return bf16_ ? static_cast<void*>(&halves_[kGuard]) : &floats_[kGuard]; }
  In in() { return {data(), bf16_}; }
  Out out() { return {data(), bf16_}; }
  double operator[](int64_t i) const {
    const size_t at = kGuard + static_cast<size_t>(i);
    if (!bf16_) return static_cast<double>(floats_[at]);
    const uint32_t wide = static_cast<uint32_t>(halves_[at]) << 16;
    float x;
    std::memcpy(&x, &wide, sizeof x);
    return static_cast<double>(x);
  }
  size_t count() const { return count_; }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr float kGuardNumber = 12345;
  static constexpr uint16_t kGuardBits = 0x4321;
  static uint32_t bits(float x) {
    uint32_t y;
    std::memcpy(&y, &x, sizeof y);
    return y;
  }
  bool bf16_;
  size_t count_;
  std::vector<float> floats_;
  std::vector<uint16_t> halves_;
};

struct Expected {
  std::vector<double> out, grad_q, grad_k, grad_v;
};

// The formula and its derivative, number by number.
Expected plain(const Case& c, double scale, const Guarded& q, const Guarded& k, const Guarded& v,
               const Guarded& grad) {
  Expected e{std::vector<double>(q.count()), std::vector<double>(q.count()), std::vector<double>(k.count()),
             std::vector<double>(k.count())};
  const int d = c.head_dim, group = c.n_head / c.n_kv_head;
  for (size_t s = 0; s + 1 < kSeqBegin.size(); ++s)
    for (int t = kSeqBegin[s]; t < kSeqBegin[s + 1]; ++t)
      for (int h = 0; h < c.n_head; ++h) {
        const int first = c.window > 0 ? std::max(kSeqBegin[s], t + 1 - c.window) : kSeqBegin[s];
        const int last = c.causal ? t : kSeqBegin[s + 1] - 1;
        const int64_t query = (static_cast<int64_t>(t) * c.n_head + h) * d;
        const auto key = [&](int row) { return (static_cast<int64_t>(row) * c.n_kv_head + h / group) * d; };
        std::vector<double> share, slope, pull;
        double total = 0, mean = 0;
        for (int row = first; row <= last; ++row) {
          double dot = 0, by = 0;
          for (int i = 0; i < d; ++i) {
            dot += q[query + i] * k[key(row) + i];
            by += grad[query + i] * v[key(row) + i];
          }
          const double cap = static_cast<double>(c.softcap), bent = std::tanh(dot * scale / cap);
          share.push_back(std::exp(cap > 0 ? cap * bent : dot * scale));
          slope.push_back(cap > 0 ? scale * (1 - bent * bent) : scale);
          pull.push_back(by);
          total += share.back();
        }
        for (size_t j = 0; j < share.size(); ++j) mean += (share[j] /= total) * pull[j];
        for (int row = first; row <= last; ++row) {
          const auto j = static_cast<size_t>(row - first);
          const double by_dot = share[j] * (pull[j] - mean) * slope[j];
          for (int i = 0; i < d; ++i) {
            const auto at = static_cast<size_t>(query + i), key_at = static_cast<size_t>(key(row) + i);
            e.out[at] += share[j] * v[key(row) + i];
            e.grad_q[at] += by_dot * k[key(row) + i];
            e.grad_k[key_at] += by_dot * q[query + i];
            e.grad_v[key_at] += share[j] * grad[query + i];
          }
        }
      }
  return e;
}

// Within `relative` of the largest number, or of one.
void expect_near(const char* what, const Guarded& got, const std::vector<double>& expected, double relative) {
  double largest = 0, worst = 0;
  for (const double x : expected) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(got[static_cast<int64_t>(i)] - expected[i]));
  EXPECT_LE(worst, relative * std::max(largest, 1.0)) << what;
}

void check(const Case& c, bool bf16) {
  SCOPED_TRACE(std::string(c.name) + (bf16 ? ", bf16" : ", f32"));
  const int64_t q_columns = int64_t{c.n_head} * c.head_dim, kv_columns = int64_t{c.n_kv_head} * c.head_dim;
  Guarded q(q_columns, bf16, 1), k(kv_columns, bf16, 2), v(kv_columns, bf16, 3), grad(q_columns, bf16, 4);
  Guarded out(q_columns, bf16), grad_q(q_columns, bf16), grad_k(kv_columns, bf16), grad_v(kv_columns, bf16);
  const float scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  const AttentionShape shape{.seq_begin = kSeqBegin.data(),
                             .n_seq = static_cast<int64_t>(kSeqBegin.size()) - 1,
                             .n_rows = kRows,
                             .n_head = c.n_head,
                             .n_kv_head = c.n_kv_head,
                             .head_dim = c.head_dim,
                             .scale = scale,
                             .softcap = c.softcap,
                             .window = c.window,
                             .causal = c.causal};
  std::vector<float> log_sum(static_cast<size_t>(kRows * c.n_head));
  kernels().attention(shape, q.in(), k.in(), v.in(), out.out(), log_sum.data());
  kernels().attention_backward(shape, q.in(), k.in(), v.in(), out.in(), log_sum.data(), grad.in(),
                               grad_q.out(), grad_k.out(), grad_v.out());
  const Expected expected = plain(c, static_cast<double>(scale), q, k, v, grad);
  const double relative = bf16 ? 0.008 : 5e-6;  // two roundings to eight bits
  expect_near("out", out, expected.out, relative);
  expect_near("grad_q", grad_q, expected.grad_q, relative);
  expect_near("grad_k", grad_k, expected.grad_k, relative);
  expect_near("grad_v", grad_v, expected.grad_v, relative);
}

TEST(Attention, EqualsThePlainFormulaForwardAndBackward) {
  for (const bool bf16 : {false, true})
    for (const Case& c :
         {Case{"64 numbers a head", 2, 2, 64}, Case{"48", 2, 2, 48}, Case{"grouped queries", 4, 2, 32},
          Case{"one key head, 20", 3, 1, 20}, Case{"6", 2, 1, 6}, Case{"odd", 2, 1, 7},
          Case{"128", 1, 1, 128}, Case{"80", 1, 1, 80}})
      check(c, bf16);
}

// Columns begin ... begin + count - 1 of rows of `all` numbers.
std::vector<uint16_t> columns_of(const std::vector<uint16_t>& x, int64_t all, int64_t begin, int64_t count) {
  std::vector<uint16_t> some;
  for (int64_t row = 0; row < kRows; ++row)
    some.insert(some.end(), x.begin() + row * all + begin, x.begin() + row * all + begin + count);
  return some;
}

void check_joined(bool bf16) {
  constexpr int kHead = 4, kKv = 2, kDim = 16;
  constexpr int64_t kQ = int64_t{kHead} * kDim, kKvColumns = int64_t{kKv} * kDim, kAll = kQ + 2 * kKvColumns;
  const int64_t words = bf16 ? 1 : 2;  // of 16 bits
  std::vector<uint16_t> joined(static_cast<size_t>(kRows * kAll * words)), grad_joined(joined.size());
  const auto fill = [&](std::vector<uint16_t>& to, uint64_t seed) {
    Random random(seed);
    for (size_t i = 0; i < to.size() / static_cast<size_t>(words); ++i) {
      const auto x = static_cast<float>(random.normal());
      uint32_t bits = 0;
      std::memcpy(&bits, &x, sizeof bits);
      if (bf16) to[i] = static_cast<uint16_t>(bits >> 16);
      if (!bf16) std::memcpy(&to[2 * i], &x, sizeof x);
    }
  };
  std::vector<uint16_t> grad(static_cast<size_t>(kRows * kQ * words));
  fill(joined, 1), fill(grad, 2);
  AttentionShape shape{.seq_begin = kSeqBegin.data(),
                       .n_seq = static_cast<int64_t>(kSeqBegin.size()) - 1,
                       .n_rows = kRows,
                       .n_head = kHead,
                       .n_kv_head = kKv,
                       .head_dim = kDim,
                       .scale = 0.25F,
                       .stride = kAll};
  const auto part = [&](std::vector<uint16_t>& x, int64_t column) {
    return static_cast<void*>(x.data() + column * words);
  };
  std::vector<float> log_sum(static_cast<size_t>(kRows * kHead));
  const auto run = [&](void* q, void* k, void* v, std::vector<uint16_t>& out, void* gq, void* gk, void* gv) {
    kernels().attention(shape, {q, bf16}, {k, bf16}, {v, bf16}, {out.data(), bf16}, log_sum.data());
    kernels().attention_backward(shape, {q, bf16}, {k, bf16}, {v, bf16}, {out.data(), bf16}, log_sum.data(),
                                 {grad.data(), bf16}, {gq, bf16}, {gk, bf16}, {gv, bf16});
  };
  std::vector<uint16_t> out(grad.size()), out_apart(grad.size());
  run(part(joined, 0), part(joined, kQ), part(joined, kQ + kKvColumns), out, part(grad_joined, 0),
      part(grad_joined, kQ), part(grad_joined, kQ + kKvColumns));
  shape.stride = 0;
  std::vector<std::vector<uint16_t>> apart;
  const std::vector<std::array<int64_t, 2>> parts = {
      {0, kQ}, {kQ, kKvColumns}, {kQ + kKvColumns, kKvColumns}};
  for (const auto& [begin, count] : parts)
    apart.push_back(columns_of(joined, kAll * words, begin * words, count * words));
  std::vector<std::vector<uint16_t>> grads = apart;
  run(apart[0].data(), apart[1].data(), apart[2].data(), out_apart, grads[0].data(), grads[1].data(),
      grads[2].data());
  EXPECT_EQ(out, out_apart);
  for (size_t i = 0; i < parts.size(); ++i)
    EXPECT_EQ(columns_of(grad_joined, kAll * words, parts[i][0] * words, parts[i][1] * words), grads[i]);
}

TEST(Attention, OfColumnsOfOneMatrixEqualsThatOfTheirCopies) {
  for (const bool bf16 : {false, true}) {
    SCOPED_TRACE(bf16 ? "bf16" : "f32");
    check_joined(bf16);
  }
}

TEST(Attention, ThroughAWindowEqualsThePlainFormula) {
  for (const bool bf16 : {false, true})
    for (const int window : {1, 7, 64, 100, 1000}) check({"window", 2, 1, 24, window}, bf16);
}

TEST(Attention, WithASoftcapEqualsThePlainFormula) {
  for (const bool bf16 : {false, true}) check({"softcap", 2, 1, 24, 70, 0.7F}, bf16);
}

TEST(Attention, InBothDirectionsEqualsThePlainFormula) {
  for (const bool bf16 : {false, true}) {
    check({"both directions", 2, 2, 24, 0, 0, false}, bf16);
    check({"both directions, softcap", 2, 1, 48, 0, 1.5F, false}, bf16);
  }
}

}  // namespace
}  // namespace volant::torch_ops
