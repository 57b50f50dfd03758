// Attention over packed sequences, forward and backward: a sequence attends to its own
// rows alone, in blocks of queries, so nothing larger than kBlock x n scores exists. Arithmetic
// in f32. Keys and values of grouped queries are shared; gradients are formed again from the
// saved logarithm of each row's denominator (Dao et al. 2022). One task is one sequence and one
// key/value head: tasks write apart, so threads do not change the result. n keys of the
// sequence, d head_dim; np and dp the same rounded up to whole vectors, filled with zeros.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "ops/torch/kernel_list.h"
#include "ops/torch/vec.h"

namespace volant::torch_ops::VOLANT_ISA {
namespace {

inline constexpr int64_t kBlock = 32;  // queries at a time
inline constexpr int64_t kPanel = 64;  // keys side by side in a packed panel
#if defined(__AVX512F__)
inline constexpr int kWide = 4;  // vectors side by side in the product below: 4 x 4 sums in registers
#else
inline constexpr int kWide = 1;
#endif

int64_t round_up(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// A[i, k] lies at data[i * row + k * column].
struct Strided {
  const float* data;
  int64_t row, column;
};

template <int kRows, int kVectors, bool kAdd>
VOLANT_INLINE void tile(Strided a, const float* b, int64_t ldb, int64_t n_inner, float* c, int64_t ldc) {
  V sums[kRows][kVectors];
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) sums[i][j] = kAdd ? load(c + i * ldc + j * kLanes) : V{};
  for (int64_t k = 0; k < n_inner; ++k) {
    V bs[kVectors];
    for (int j = 0; j < kVectors; ++j) bs[j] = load(b + k * ldb + j * kLanes);
    for (int i = 0; i < kRows; ++i) {
      const float left = a.data[i * a.row + k * a.column];
      for (int j = 0; j < kVectors; ++j) sums[i][j] += bs[j] * left;
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j) store(c + i * ldc + j * kLanes, sums[i][j]);
}

template <int kRows, bool kAdd>
void tile_row(Strided a, const float* b, int64_t ldb, int64_t columns, int64_t n_inner, float* c,
              int64_t ldc) {
  int64_t j = 0;
  for (; j + kWide * kLanes <= columns; j += kWide * kLanes)
    tile<kRows, kWide, kAdd>(a, b + j, ldb, n_inner, c + j, ldc);
  for (; j < columns; j += kLanes) tile<kRows, 1, kAdd>(a, b + j, ldb, n_inner, c + j, ldc);
}

// C[rows, columns] = A[rows, n_inner] B[n_inner, columns], or += ; columns a multiple of kLanes.
template <bool kAdd>
void multiply(Strided a, int64_t rows, const float* b, int64_t ldb, int64_t columns, int64_t n_inner,
              float* c, int64_t ldc) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4)
    tile_row<4, kAdd>({a.data + i * a.row, a.row, a.column}, b, ldb, columns, n_inner, c + i * ldc, ldc);
  for (; i < rows; ++i)
    tile_row<1, kAdd>({a.data + i * a.row, a.row, a.column}, b, ldb, columns, n_inner, c + i * ldc, ldc);
}

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
    multiply<false>({a, dp, 1}, rows, panels + begin * dp, kPanel, std::min(kPanel, limit - begin), dp,
                    c + begin, ldc);
}

// Buffers of one thread, for sequences of up to n rows; they grow and stay.
struct Scratch {
  Scratch(int64_t n, int64_t d) {
    const int64_t np = (n + kPanel - 1) / kPanel * kPanel, dp = round_up(d);
    const int64_t block = kBlock * dp, all = np * dp, score = kBlock * np;
    thread_local std::vector<float> memory;
    const auto total = static_cast<size_t>(4 * block + 6 * all + 2 * score + kLanes);
    if (memory.size() < total) memory.resize(total);
    float* next = memory.data();
    next += (64 - reinterpret_cast<uintptr_t>(next) % 64) / sizeof(float) % static_cast<uintptr_t>(kLanes);
    const auto take = [&next](int64_t count) { return std::exchange(next, next + count); };
    q = take(block), out = take(block), grad_out = take(block), grad_q = take(block);
    keys = take(all), values = take(all), key_panels = take(all), value_panels = take(all);
    grad_k = take(all), grad_v = take(all);
    scores = take(score), grad_scores = take(score);
  }
  float *q, *out, *grad_out, *grad_q, *keys, *values, *key_panels, *value_panels, *grad_k, *grad_v, *scores,
      *grad_scores;
};

// One sequence, one key/value head.
struct Task {
  int64_t begin, n;  // rows
  int64_t kv_head;
};

// Runs f(task, scratch) for every task on all threads, longest work handed out as it comes.
template <class F>
void for_tasks(const AttentionShape& shape, F&& f) {
  int64_t longest = 0;
  for (int64_t s = 0; s < shape.n_seq; ++s)
    longest = std::max<int64_t>(longest, shape.seq_begin[s + 1] - shape.seq_begin[s]);
  const int64_t tasks = shape.n_seq * shape.n_kv_head;
  // Too little work is not worth waking threads for.
  const bool many = tasks > 1 && shape.n_rows * shape.n_head * shape.head_dim * longest > (1 << 20);
#pragma omp parallel if (many)
  {
    Scratch scratch(longest, shape.head_dim);
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < tasks; ++i) {
      const int64_t s = i / shape.n_kv_head, begin = shape.seq_begin[s];
      f(Task{begin, shape.seq_begin[s + 1] - begin, i % shape.n_kv_head}, scratch);
    }
  }
}

// Where a block of queries starts and ends in its sequence of n rows, and the keys from `start` to `limit`,
// in whole vectors and panels, among which are all that it sees.
struct Block {
  int64_t first, rows, start, limit;
  Block(const AttentionShape& shape, int64_t begin, int64_t n)
      : first(begin),
        rows(std::min(kBlock, n - begin)),
        start(shape.window > 0 ? std::max<int64_t>(0, begin + 1 - shape.window) / kPanel * kPanel : 0),
        limit(round_up(shape.causal ? begin + rows : n)),
        window_(shape.window),
        n_(shape.causal ? 0 : n) {}
  // The keys that query i of the block sees: from ... to - 1.
  int64_t from(int64_t i) const { return window_ > 0 ? std::max<int64_t>(0, first + i + 1 - window_) : 0; }
  int64_t to(int64_t i) const { return n_ > 0 ? n_ : first + i + 1; }
  int64_t keys() const { return limit - start; }

 private:
  int64_t window_, n_;
};

VOLANT_INLINE V tanh_of(V x) { return 1.0F - 2.0F / (1.0F + exp_of(x + x)); }

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
  const int64_t q_stride = shape.n_head * d, kv_stride = shape.n_kv_head * d;
  for_tasks(shape, [&](const Task& task, Scratch& s) {
    const int64_t kv_at = task.begin * kv_stride + task.kv_head * d;
    const int64_t np = (task.n + kPanel - 1) / kPanel * kPanel;
    take_head(k + kv_at, kv_stride, task.n, d, 1.0F, s.keys);
    take_head(v + kv_at, kv_stride, task.n, d, 1.0F, s.values);
    std::fill(s.values + task.n * dp, s.values + np * dp, 0.0F);
    pack_panels(s.keys, task.n, dp, s.key_panels);
    for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
      for (int64_t begin = 0; begin < task.n; begin += kBlock) {
        const Block block(shape, begin, task.n);
        const int64_t row = task.begin + begin, at = row * q_stride + head * d;
        take_head(q + at, q_stride, block.rows, d, shape.scale, s.q);
        multiply_panels(s.q, block.rows, dp, s.key_panels, block.start, block.limit, s.scores, np);
        softmax(s.scores, np, block, shape.softcap, log_sum + row * shape.n_head + head, shape.n_head);
        multiply<false>({s.scores + block.start, np, 1}, block.rows, s.values + block.start * dp, dp, dp,
                        block.keys(), s.out, dp);
        put_head(s.out, q_stride, block.rows, d, out + at);
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
  const int64_t q_stride = shape.n_head * d, kv_stride = shape.n_kv_head * d;
  const int64_t kv_at = task.begin * kv_stride + task.kv_head * d;
  const int64_t np = (task.n + kPanel - 1) / kPanel * kPanel;
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
      take_head(x.q + at, q_stride, block.rows, d, shape.scale, s.q);
      take_head(x.out + at, q_stride, block.rows, d, 1.0F, s.out);
      take_head(x.grad_out + at, q_stride, block.rows, d, 1.0F, s.grad_out);
      multiply_panels(s.q, block.rows, dp, s.key_panels, start, block.limit, s.scores, np);
      multiply_panels(s.grad_out, block.rows, dp, s.value_panels, start, block.limit, s.grad_scores, np);
      softmax_backward(s, np, dp, block, shape.softcap, log_sum + row * shape.n_head + head, shape.n_head);
      multiply<true>({s.scores + start, 1, np}, n_key, s.grad_out, dp, dp, block.rows, s.grad_v + start * dp,
                     dp);
      multiply<true>({s.grad_scores + start, 1, np}, n_key, s.q, dp, dp, block.rows, s.grad_k + start * dp,
                     dp);
      multiply<false>({s.grad_scores + start, np, 1}, block.rows, s.keys + start * dp, dp, dp, n_key,
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
const T* in(In x) {
  return static_cast<const T*>(x.data);
}
template <class T>
T* out_of(Out x) {
  return static_cast<T*>(x.data);
}

}  // namespace

void attention(const AttentionShape& shape, In q, In k, In v, Out out, float* log_sum) {
  if (q.bf16) {
    forward<Bf16>(shape, in<Bf16>(q), in<Bf16>(k), in<Bf16>(v), out_of<Bf16>(out), log_sum);
  } else {
    forward<float>(shape, in<float>(q), in<float>(k), in<float>(v), out_of<float>(out), log_sum);
  }
}

template <class T>
void backward(const AttentionShape& shape, const Gradients<T>& x, const float* log_sum) {
  for_tasks(shape,
            [&](const Task& task, Scratch& scratch) { backward_task(shape, x, log_sum, task, scratch); });
}

void attention_backward(const AttentionShape& shape, In q, In k, In v, In out, const float* log_sum,
                        In grad_out, Out grad_q, Out grad_k, Out grad_v) {
  if (q.bf16) {
    using T = Bf16;
    backward<T>(shape,
                {in<T>(q), in<T>(k), in<T>(v), in<T>(out), in<T>(grad_out), out_of<T>(grad_q),
                 out_of<T>(grad_k), out_of<T>(grad_v)},
                log_sum);
  } else {
    using T = float;
    backward<T>(shape,
                {in<T>(q), in<T>(k), in<T>(v), in<T>(out), in<T>(grad_out), out_of<T>(grad_q),
                 out_of<T>(grad_k), out_of<T>(grad_v)},
                log_sum);
  }
}

}  // namespace volant::torch_ops::VOLANT_ISA
