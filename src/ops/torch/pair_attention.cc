// The attention of attention.cc with products of bf16 pairs summed in f32, where the processor has an
// instruction for them: scores and softmax are in f32, probabilities and their gradients are rounded to bf16
// before they are multiplied (as in Dao 2023). A factor that is read by rows is read where it lies; one that
// is read by columns is packed in panels of pairs (pairs.h).
#if defined(__AVX512BF16__)
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/torch/attention_blocks.h"
#include "ops/torch/kernel_list.h"
#include "ops/torch/kernel_loops.h"
#include "ops/torch/pairs.h"
#include "ops/torch/tiles.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

using Pairs = Strided<Bf16Pairs>;

const Bf16* in(In x) { return static_cast<const Bf16*>(x.data); }
Bf16* to(Out x) { return static_cast<Bf16*>(x.data); }
const uint16_t* bits(const Bf16* x) { return &x->bits; }

// n rows of one head in pairs of its numbers, for products that sum over head_dim: [n / 64][d / 2][64][2].
void pack_numbers(const Bf16* x, int64_t stride, int64_t n, int64_t d, uint16_t* panels) {
  const int64_t deep = round_up(d, kDepth);
  for (int64_t row = 0; row < n; row += kPanel)
    for (int64_t i = 0; i < d; i += kDepth)
      pack_turned_panel(x + row * stride + i, stride, d - i, n - row, kPanel,
                        panels + row * deep + i * kPanel);
}

// n rows of one head in pairs of rows, for products that sum over them: [n / 2][dp][2].
void pack_rows(const Bf16* x, int64_t stride, int64_t n, int64_t d, uint16_t* pairs) {
  const int64_t dp = round_up(d);
  for (int64_t row = 0; row < n; row += kDepth)
    pack_panel(x + row * stride, stride, n - row, d, dp, pairs + row * dp);
}

// Products of `rows` rows with those that pack_numbers packed, from block.start to block.limit.
void score(const Bf16* x, int64_t stride, int64_t d, const Block& block, const uint16_t* panels,
           float* scores, int64_t ld) {
  const int64_t deep = round_up(d, kDepth);
  for (int64_t begin = block.start; begin < block.limit; begin += kPanel)
    multiply<Bf16Pairs, false>({bits(x), stride, 2}, block.rows, panels + begin * deep, 2 * kPanel,
                               std::min(kPanel, block.limit - begin), d / 2, scores + begin, ld);
}

// Buffers of one thread, for sequences of up to n rows.
struct Scratch {
  Scratch(int64_t n, int64_t d) {
    const int64_t np = round_up(n, kPanel), dp = round_up(d), deep = round_up(d, kDepth);
    const int64_t score = kBlock * np, block = kBlock * dp;
    ThreadMemory memory(2 * np * deep / 2 + 2 * np * dp / 2 + 2 * np * dp + 2 * score + 3 * score / 2 +
                        2 * block + 2 * block / 2);
    keys = memory.take_pairs(np * deep / 2), values = memory.take_pairs(np * deep / 2);
    key_rows = memory.take_pairs(np * dp / 2), value_rows = memory.take_pairs(np * dp / 2);
    grad_k = memory.take(np * dp), grad_v = memory.take(np * dp);
    scores = memory.take(score), grad_scores = memory.take(score);
    shares = memory.take_pairs(score / 2), share_pairs = memory.take_pairs(score / 2);
    grad_pairs = memory.take_pairs(score / 2);
    out = memory.take(block), grad_q = memory.take(block);
    query_rows = memory.take_pairs(block / 2), grad_rows = memory.take_pairs(block / 2);
  }
  uint16_t *keys, *values;          // pack_numbers
  uint16_t *key_rows, *value_rows;  // pack_rows
  float *grad_k, *grad_v, *scores, *grad_scores;
  uint16_t* shares;                    // probabilities, or the gradients of scores: [kBlock, np]
  uint16_t *share_pairs, *grad_pairs;  // both in pairs of rows: [kBlock / 2][np][2]
  float *out, *grad_q;
  uint16_t *query_rows, *grad_rows;  // of a block, pack_rows
};

// The lanes from `from` to `to` of those from j on.
VOLANT_INLINE VI seen(int64_t j, int64_t from, int64_t to) {
  const VI lanes = VI{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + static_cast<int32_t>(j);
  return (lanes >= static_cast<int32_t>(from)) & (lanes < static_cast<int32_t>(to));
}

// Calls f<count, whole>(j) for all keys of a block, by several vectors from j on: whole where all their keys
// lie between `from` and `to`.
template <class F>
VOLANT_INLINE void for_keys(const Block& block, int64_t from, int64_t to, F&& f) {
  constexpr int kTogether = 4;
  int64_t j = block.start;
  for (; j < std::min(from, block.limit); j += kLanes) f.template operator()<1, false>(j);
  for (; j + kTogether * kLanes <= to; j += kTogether * kLanes) f.template operator()<kTogether, true>(j);
  for (; j + kLanes <= to; j += kLanes) f.template operator()<1, true>(j);
  for (; j < block.limit; j += kLanes) f.template operator()<1, false>(j);
}

// Scores of query i become probabilities times their sum, which is given back; `log_sum` its logarithm.
float softmax(const AttentionShape& shape, const Block& block, int64_t i, float* row, Bf16* shares,
              float* log_sum) {
  const int64_t from = block.from(i), to = block.to(i);
  if (shape.softcap > 0)
    for (int64_t j = block.start; j < block.limit; j += kLanes)
      store(row + j, tanh_of(load(row + j) * (shape.scale / shape.softcap)));
  const float scale = shape.softcap > 0 ? shape.softcap : shape.scale;
  V top = broadcast(-std::numeric_limits<float>::infinity());
  for_keys(block, from, to, [&]<int n, bool kWhole>(int64_t j) {
    for (int k = 0; k < n; ++k) {
      const V score = load(row + j + k * kLanes) * scale;
      top = maximum(top, kWhole || seen(j, from, to) ? score : top);
    }
  });
  const float largest = maximum_of(top);
  V sums{};
  for_keys(block, from, to, [&]<int n, bool kWhole>(int64_t j) {
    Vs<n> share = exp_of(load_vectors<n>(row + j, n * kLanes) * scale - largest);
    if (!kWhole) share.v[0] = seen(j, from, to) ? share.v[0] : V{};
    for (int k = 0; k < n; ++k) sums += share.v[k];
    store_vectors(shares + j, share, n * kLanes);
  });
  const float total = sum(sums);
  *log_sum = std::log(total) + largest;
  return total;
}

// Two rows of scores and of gradients by their probabilities become probabilities and gradients by the
// products of queries and keys.
struct BackwardRow {
  int64_t from = 0, to = 0;
  float log_sum = 0, pull = 0;  // pull: sum of out * grad_out
};
template <int n>
struct Shares {
  Vs<n> share{}, grad{};
};
template <int n, bool kWhole>
VOLANT_INLINE Shares<n> shares_at(const AttentionShape& shape, const BackwardRow& row, int64_t j,
                                  const float* products, const float* grads) {
  Vs<n> score = load_vectors<n>(products + j, n * kLanes) * shape.scale;
  Vs<n> pulled = (load_vectors<n>(grads + j, n * kLanes) - row.pull) * shape.scale;
  if (shape.softcap > 0) {
    const Vs<n> t = tanh_of(score * (1 / shape.softcap));
    score = shape.softcap * t;
    pulled = pulled * (1.0F - t * t);
  }
  Shares<n> y;
  y.share = exp_of(score - row.log_sum);
  y.grad = y.share * pulled;
  if (!kWhole) {
    y.share.v[0] = seen(j, row.from, row.to) ? y.share.v[0] : V{};
    y.grad.v[0] = seen(j, row.from, row.to) ? y.grad.v[0] : V{};
  }
  return y;
}

void softmax_backward(const AttentionShape& shape, const Block& block, int64_t i, const BackwardRow rows[2],
                      const Scratch& s, int64_t np) {
  const bool two = i + 1 < block.rows;
  const float *products = s.scores + i * np, *grads = s.grad_scores + i * np;
  for_keys(block, rows[two].from, rows[0].to, [&]<int n, bool kWhole>(int64_t j) {
    const auto first = shares_at<n, kWhole>(shape, rows[0], j, products, grads);
    Shares<n> second;
    if (two) second = shares_at<n, kWhole>(shape, rows[1], j, products + np, grads + np);
    for (int k = 0; k < n; ++k) {
      const int64_t at = i * np + j + k * kLanes, pair_at = i * np + 2 * (j + k * kLanes);
      const VU share_pairs = low_halves(first.share.v[k]) | low_halves(second.share.v[k]) << 16;
      const VU first_grad = low_halves(first.grad.v[k]), second_grad = low_halves(second.grad.v[k]);
      const VU grad_pairs = first_grad | second_grad << 16;
      std::memcpy(s.share_pairs + pair_at, &share_pairs, sizeof share_pairs);
      std::memcpy(s.grad_pairs + pair_at, &grad_pairs, sizeof grad_pairs);
      store(reinterpret_cast<Bf16*>(s.shares) + at, first.grad.v[k]);
      store(reinterpret_cast<Bf16*>(s.shares) + at + np, second.grad.v[k]);
    }
  });
}

float dot(const Bf16* a, const Bf16* b, int64_t n) {
  V sums{};
  for (int64_t i = 0; i < n; i += kLanes) sums += load_some(a + i, n - i) * load_some(b + i, n - i);
  return sum(sums);
}

void put(const float* x, int64_t rows, int64_t d, float scale, Bf16* out, int64_t stride) {
  const int64_t dp = round_up(d);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < d; i += kLanes)
      store_some(out + t * stride + i, load(x + t * dp + i) * scale, d - i);
}

struct Gradients {
  const Bf16 *q, *k, *v, *out, *grad_out;
  const float* log_sum;
  Bf16 *grad_q, *grad_k, *grad_v;
};

// One block of queries of one head, from row `row` of the batch on; adds to s.grad_k and s.grad_v.
void backward_block(const AttentionShape& shape, const Gradients& x, const Block& block, int64_t row,
                    int64_t head, int64_t np, const Scratch& s) {
  const int64_t d = shape.head_dim, dp = round_up(d), stride = shape.q_stride();
  const int64_t out_stride = shape.out_stride(), at = row * stride + head * d;
  const Bf16 *out = x.out + row * out_stride + head * d, *grad_out = x.grad_out + row * out_stride + head * d;
  const float* log_sum = x.log_sum + row * shape.n_head + head;
  score(x.q + at, stride, d, block, s.keys, s.scores, np);
  score(grad_out, out_stride, d, block, s.values, s.grad_scores, np);
  for (int64_t i = 0; i < block.rows; i += 2) {
    BackwardRow rows[2] = {};
    for (int64_t r = i; r < std::min(i + 2, block.rows); ++r)
      rows[r - i] = {block.from(r), block.to(r), log_sum[r * shape.n_head],
                     dot(out + r * out_stride, grad_out + r * out_stride, d)};
    softmax_backward(shape, block, i, rows, s, np);
  }
  pack_rows(x.q + at, stride, block.rows, d, s.query_rows);
  pack_rows(grad_out, out_stride, block.rows, d, s.grad_rows);
  const int64_t start = block.start, row_pairs = (block.rows + 1) / 2;
  multiply<Bf16Pairs, true>({s.share_pairs + 2 * start, 2, 2 * np}, block.keys(), s.grad_rows, 2 * dp, dp,
                            row_pairs, s.grad_v + start * dp, dp);
  multiply<Bf16Pairs, true>({s.grad_pairs + 2 * start, 2, 2 * np}, block.keys(), s.query_rows, 2 * dp, dp,
                            row_pairs, s.grad_k + start * dp, dp);
  multiply<Bf16Pairs, false>({s.shares + start, np, 2}, block.rows, s.key_rows + start * dp, 2 * dp, dp,
                             block.keys() / 2, s.grad_q, dp);
  put(s.grad_q, block.rows, d, 1.0F, x.grad_q + at, stride);
}

}  // namespace

bool in_pairs(const AttentionShape& shape, In q) { return q.bf16 && shape.head_dim % 2 == 0; }

void pair_attention(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum) {
  const int64_t d = shape.head_dim, dp = round_up(d), group = shape.n_head / shape.n_kv_head;
  const int64_t q_stride = shape.q_stride(), kv_stride = shape.kv_stride(), out_stride = shape.out_stride();
  for_tasks<Scratch>(shape, [&](const Task& task, Scratch& s) {
    const int64_t kv_at = task.begin * kv_stride + task.kv_head * d, np = round_up(task.n, kPanel);
    pack_numbers(in(k) + kv_at, kv_stride, task.n, d, s.keys);
    pack_rows(in(v) + kv_at, kv_stride, task.n, d, s.value_rows);
    for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
      for (int64_t begin = 0; begin < task.n; begin += kBlock) {
        const Block block(shape, begin, task.n);
        const int64_t row = task.begin + begin, at = row * q_stride + head * d;
        const int64_t out_at = row * out_stride + head * d;
        score(in(q) + at, q_stride, d, block, s.keys, s.scores, np);
        float totals[kBlock];
        for (int64_t i = 0; i < block.rows; ++i)
          totals[i] = softmax(shape, block, i, s.scores + i * np, reinterpret_cast<Bf16*>(s.shares) + i * np,
                              log_sum + (row + i) * shape.n_head + head);
        multiply<Bf16Pairs, false>({s.shares + block.start, np, 2}, block.rows,
                                   s.value_rows + block.start * dp, 2 * dp, dp, block.keys() / 2, s.out, dp);
        for (int64_t i = 0; i < block.rows; ++i)
          put(s.out + i * dp, 1, d, 1.0F / totals[i], to(out) + out_at + i * out_stride, out_stride);
      }
    }
  });
}

void pair_attention_backward(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                             In grad_out, Out grad_q, Out grad_k, Out grad_v) {
  const Gradients x{in(q), in(k), in(v), in(out), in(grad_out), log_sum, to(grad_q), to(grad_k), to(grad_v)};
  const int64_t d = shape.head_dim, dp = round_up(d), group = shape.n_head / shape.n_kv_head;
  const int64_t kv_stride = shape.kv_stride();
  for_tasks<Scratch>(shape, [&](const Task& task, Scratch& s) {
    const int64_t kv_at = task.begin * kv_stride + task.kv_head * d, np = round_up(task.n, kPanel);
    pack_numbers(x.k + kv_at, kv_stride, task.n, d, s.keys);
    pack_numbers(x.v + kv_at, kv_stride, task.n, d, s.values);
    pack_rows(x.k + kv_at, kv_stride, task.n, d, s.key_rows);
    std::fill(s.grad_k, s.grad_k + np * dp, 0.0F);
    std::fill(s.grad_v, s.grad_v + np * dp, 0.0F);
    for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head)
      for (int64_t begin = 0; begin < task.n; begin += kBlock)
        backward_block(shape, x, Block(shape, begin, task.n), task.begin + begin, head, np, s);
    put(s.grad_k, task.n, d, 1.0F, x.grad_k + kv_at, kv_stride);
    put(s.grad_v, task.n, d, 1.0F, x.grad_v + kv_at, kv_stride);
  });
}

}  // namespace volant::torch_ops::VOLANT_ISA
#endif
