// Attention over packed sequences, forward and backward, with arithmetic in f32 (pair_attention.cc has that
// of bf16 where the processor can): a sequence attends to its own rows alone, in blocks of queries, so
// nothing larger than kBlock x n scores exists. Keys and values of grouped queries are shared; gradients are
// formed again from the saved logarithm of each row's denominator (Dao et al. 2022). One task is one sequence
// and one key/value head: tasks write apart, so threads do not change the result. n keys of the sequence, d
// head_dim; np and dp the same rounded up to whole vectors, filled with zeros.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/torch/attention_blocks.h"
#include "ops/torch/kernel_list.h"
#include "ops/torch/kernel_loops.h"
#include "ops/torch/tiles.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

// Rows of one head out of a [T, heads * d] matrix, as f32 [rows, dp], times `factor`.
template <class T>
void take_head(const T* x, int64_t stride, int64_t rows, int64_t d, float factor, float* out) {
  const int64_t dp = round_up(d);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < dp; i += kLanes)
      store(out + t * dp + i, load_some(x + t * stride + i, d - i) * factor);
}
template <class T>
void put_head(const float* x, int64_t stride, int64_t rows, int64_t d, T* out) {
  const int64_t dp = round_up(d);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < d; i += kLanes) store_some(out + t * stride + i, load(x + t * dp + i), d - i);
}

// x[n, dp] as panels of kPanel rows turned round: panel p holds [dp, kPanel]; rows past n are zeros.
void pack_panels(const float* x, int64_t n, int64_t dp, float* out) {
  for (int64_t begin = 0; begin < n; begin += kPanel) {
    float* panel = out + begin * dp;
    const int64_t count = std::min(kPanel, n - begin);
    for (int64_t i = 0; i < dp; ++i) {
      for (int64_t j = 0; j < count; ++j) panel[i * kPanel + j] = x[(begin + j) * dp + i];
      for (int64_t j = count; j < kPanel; ++j) panel[i * kPanel + j] = 0;
    }
  }
}

// Columns start ... limit - 1 of C = A[rows, dp] X^T for packed X; `start` is a multiple of kPanel, `limit`
// one of kLanes.
void multiply_panels(const float* a, int64_t rows, int64_t dp, const float* panels, int64_t start,
                     int64_t limit, float* c, int64_t ldc) {
  for (int64_t begin = start; begin < limit; begin += kPanel)
    multiply<Floats, false>({a, dp, 1}, rows, panels + begin * dp, kPanel, std::min(kPanel, limit - begin),
                            dp, c + begin, ldc);
}

// Buffers of one thread, for sequences of up to n rows.
struct Scratch {
  Scratch(int64_t n, int64_t d) {
    const int64_t np = round_up(n, kPanel), dp = round_up(d);
    const int64_t block = kBlock * dp, all = np * dp, score = kBlock * np;
    ThreadMemory memory(4 * block + 6 * all + 2 * score);
    q = memory.take(block), out = memory.take(block), grad_out = memory.take(block);
    grad_q = memory.take(block), keys = memory.take(all), values = memory.take(all);
    key_panels = memory.take(all), value_panels = memory.take(all), grad_k = memory.take(all);
    grad_v = memory.take(all), scores = memory.take(score), grad_scores = memory.take(score);
  }
  float *q, *out, *grad_out, *grad_q, *keys, *values, *key_panels, *value_panels, *grad_k, *grad_v, *scores,
      *grad_scores;
};

// What a query does not see of the keys that its block holds becomes `value`.
void fill_unseen(float* row, const Block& block, int64_t i, float value) {
  std::fill(row + block.start, row + std::max(block.from(i), block.start), value);
  std::fill(row + block.to(i), row + block.limit, value);
}

// Turns scores into probabilities, row by row; gives the logarithm of each denominator.
void softmax(float* scores, int64_t ld, const Block& block, float softcap, float* log_sum,
             int64_t log_stride) {
  for (int64_t i = 0; i < block.rows; ++i) {
    float* row = scores + i * ld;
    if (softcap > 0)
      for (int64_t j = block.start; j < block.limit; j += kLanes)
        store(row + j, softcap * tanh_of(load(row + j) / softcap));
    fill_unseen(row, block, i, -std::numeric_limits<float>::infinity());
    V top = load(row + block.start);
    for (int64_t j = block.start + kLanes; j < block.limit; j += kLanes) top = maximum(top, load(row + j));
    const float largest = maximum_of(top);
    for (int64_t j = block.start; j < block.limit; j += kLanes)
      store(row + j, exp_of(load(row + j) - largest));
    fill_unseen(row, block, i, 0);  // e^-87 is small, not nothing
    V sums{};
    for (int64_t j = block.start; j < block.limit; j += kLanes) sums += load(row + j);
    const float total = sum(sums);
    const float inverse = 1.0F / total;
    for (int64_t j = block.start; j < block.limit; j += kLanes) store(row + j, load(row + j) * inverse);
    log_sum[i * log_stride] = std::log(total) + largest;
  }
}

template <class T>
void forward(const AttentionShape& shape, const T* q, const T* k, const T* v, T* out, float* log_sum) {
  const int64_t d = shape.head_dim, dp = round_up(d), group = shape.n_head / shape.n_kv_head;
  const int64_t q_stride = shape.q_stride(), kv_stride = shape.kv_stride(), out_stride = shape.out_stride();
  for_tasks<Scratch>(shape, [&](const Task& task, Scratch& s) {
    const int64_t kv_at = task.begin * kv_stride + task.kv_head * d;
    const int64_t np = round_up(task.n, kPanel);
    take_head(k + kv_at, kv_stride, task.n, d, 1.0F, s.keys);
    take_head(v + kv_at, kv_stride, task.n, d, 1.0F, s.values);
    std::fill(s.values + task.n * dp, s.values + np * dp, 0.0F);
    pack_panels(s.keys, task.n, dp, s.key_panels);
    for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
      for (int64_t begin = 0; begin < task.n; begin += kBlock) {
        const Block block(shape, begin, task.n);
        const int64_t row = task.begin + begin, at = row * q_stride + head * d;
        const int64_t out_at = row * out_stride + head * d;
        take_head(q + at, q_stride, block.rows, d, shape.scale, s.q);
        multiply_panels(s.q, block.rows, dp, s.key_panels, block.start, block.limit, s.scores, np);
        softmax(s.scores, np, block, shape.softcap, log_sum + row * shape.n_head + head, shape.n_head);
        multiply<Floats, false>({s.scores + block.start, np, 1}, block.rows, s.values + block.start * dp, dp,
                                dp, block.keys(), s.out, dp);
        put_head(s.out, out_stride, block.rows, d, out + out_at);
      }
    }
  });
}

// scores -> probabilities p, grad_scores (of p) -> gradient of the scores:
// p * (grad - sum of out * grad_out), times the slope of the cap.
void softmax_backward(const Scratch& s, int64_t ld, int64_t dp, const Block& block, float softcap,
                      const float* log_sum, int64_t log_stride) {
  for (int64_t i = 0; i < block.rows; ++i) {
    V dots{};
    for (int64_t j = 0; j < dp; j += kLanes) dots += load(s.out + i * dp + j) * load(s.grad_out + i * dp + j);
    const float pull = sum(dots), log_total = log_sum[i * log_stride];
    float* p = s.scores + i * ld;
    float* g = s.grad_scores + i * ld;
    // g becomes (g - pull) * slope first, and times p when what is not seen has become 0.
    for (int64_t j = block.start; j < block.limit; j += kLanes) {
      V score = load(p + j), slope = broadcast(1.0F);
      if (softcap > 0) {
        const V t = tanh_of(score / softcap);
        score = softcap * t;
        slope = 1.0F - t * t;
      }
      store(p + j, exp_of(score - log_total));
      store(g + j, (load(g + j) - pull) * slope);
    }
    fill_unseen(p, block, i, 0);
    for (int64_t j = block.start; j < block.limit; j += kLanes) store(g + j, load(p + j) * load(g + j));
  }
}

template <class T>
struct Gradients {
  const T *q, *k, *v, *out, *grad_out;
  T *grad_q, *grad_k, *grad_v;
};

template <class T>
void backward_task(const AttentionShape& shape, const Gradients<T>& x, const float* log_sum, const Task& task,
                   Scratch& s) {
  const int64_t d = shape.head_dim, dp = round_up(d), group = shape.n_head / shape.n_kv_head;
  const int64_t q_stride = shape.q_stride(), kv_stride = shape.kv_stride(), out_stride = shape.out_stride();
  const int64_t kv_at = task.begin * kv_stride + task.kv_head * d;
  const int64_t np = round_up(task.n, kPanel);
  take_head(x.k + kv_at, kv_stride, task.n, d, 1.0F, s.keys);
  take_head(x.v + kv_at, kv_stride, task.n, d, 1.0F, s.values);
  std::fill(s.keys + task.n * dp, s.keys + np * dp, 0.0F);
  pack_panels(s.keys, task.n, dp, s.key_panels);
  pack_panels(s.values, task.n, dp, s.value_panels);
  std::fill(s.grad_k, s.grad_k + np * dp, 0.0F);
  std::fill(s.grad_v, s.grad_v + np * dp, 0.0F);
  for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
    for (int64_t begin = 0; begin < task.n; begin += kBlock) {
      const Block block(shape, begin, task.n);
      const int64_t start = block.start, n_key = block.keys();
      const int64_t row = task.begin + begin, at = row * q_stride + head * d;
      const int64_t out_at = row * out_stride + head * d;
      take_head(x.q + at, q_stride, block.rows, d, shape.scale, s.q);
      take_head(x.out + out_at, out_stride, block.rows, d, 1.0F, s.out);
      take_head(x.grad_out + out_at, out_stride, block.rows, d, 1.0F, s.grad_out);
      multiply_panels(s.q, block.rows, dp, s.key_panels, start, block.limit, s.scores, np);
      multiply_panels(s.grad_out, block.rows, dp, s.value_panels, start, block.limit, s.grad_scores, np);
      softmax_backward(s, np, dp, block, shape.softcap, log_sum + row * shape.n_head + head, shape.n_head);
      multiply<Floats, true>({s.scores + start, 1, np}, n_key, s.grad_out, dp, dp, block.rows,
                             s.grad_v + start * dp, dp);
      multiply<Floats, true>({s.grad_scores + start, 1, np}, n_key, s.q, dp, dp, block.rows,
                             s.grad_k + start * dp, dp);
      multiply<Floats, false>({s.grad_scores + start, np, 1}, block.rows, s.keys + start * dp, dp, dp, n_key,
                              s.grad_q, dp);
      for (int64_t i = 0; i < block.rows * dp; i += kLanes)
        store(s.grad_q + i, load(s.grad_q + i) * shape.scale);
      put_head(s.grad_q, q_stride, block.rows, d, x.grad_q + at);
    }
  }
  put_head(s.grad_k, kv_stride, task.n, d, x.grad_k + kv_at);
  put_head(s.grad_v, kv_stride, task.n, d, x.grad_v + kv_at);
}

template <class T>
void backward(const AttentionShape& shape, const Gradients<T>& x, const float* log_sum) {
  for_tasks<Scratch>(
      shape, [&](const Task& task, Scratch& scratch) { backward_task(shape, x, log_sum, task, scratch); });
}

}  // namespace

void attention(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum) {
#if defined(__AVX512BF16__)
  if (in_pairs(shape, q)) return pair_attention(shape, q, k, v, out, log_sum);
#endif
  typed(q.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const auto in = [](In x) { return static_cast<const T*>(x.data); };
    forward<T>(shape, in(q), in(k), in(v), static_cast<T*>(out.data), log_sum);
  });
}

void attention_backward(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                        In grad_out, Out grad_q, Out grad_k, Out grad_v) {
#if defined(__AVX512BF16__)
  if (in_pairs(shape, q))
    return pair_attention_backward(shape, q, k, v, out, log_sum, grad_out, grad_q, grad_k, grad_v);
#endif
  typed(q.bf16, [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    const auto in = [](In x) { return static_cast<const T*>(x.data); };
    const auto to = [](Out x) { return static_cast<T*>(x.data); };
    backward<T>(shape, {in(q), in(k), in(v), in(out), in(grad_out), to(grad_q), to(grad_k), to(grad_v)},
                log_sum);
  });
}

}  // namespace volant::torch_ops::VOLANT_ISA
