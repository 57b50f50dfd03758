// How attention over packed sequences is cut: a task is one sequence and one key/value head, a block some of
// its queries and the keys that they see. Included only by the kernels, inside the namespace of their
// instruction set.
#pragma once
#include <omp.h>

#include <algorithm>

#include "ops/torch/kernels.h"
#include "ops/torch/thread_memory.h"

namespace volant::torch_ops::VOLANT_ISA {

inline constexpr int64_t kBlock = 32;  // queries at a time
inline constexpr int64_t kPanel = 64;  // keys side by side in a packed panel

// One sequence, one key/value head.
struct Task {
  int64_t begin, n;  // rows
  int64_t kv_head;
};

// Runs f(task, scratch) for every task on all threads, longest work handed out as it comes. A thread's
// scratch is made of the length of the longest sequence and head_dim.
template <class Scratch, class F>
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

}  // namespace volant::torch_ops::VOLANT_ISA
