// What the loops of training share: threads, the two types of numbers, tanh. Included only by the kernels,
// inside the namespace of their instruction set.
#pragma once
#include <omp.h>

#include <algorithm>
#include <type_traits>

#include "ops/torch/kernel_list.h"
#include "ops/torch/vec.h"

namespace volant::torch_ops::VOLANT_ISA {

// Calls f with a null pointer of the numbers' type.
template <class F>
VOLANT_INLINE void typed(bool bf16, F&& f) {
  if (bf16) {
    f(static_cast<Bf16*>(nullptr));
  } else {
    f(static_cast<float*>(nullptr));
  }
}
template <class T>
using TypeOf = std::remove_pointer_t<T>;

// Splits [0, n) into one run of items per thread: f(begin, end, thread).
template <class F>
void split(int64_t n, int64_t item_cost, F&& f) {
  const int threads = n * item_cost < 65536 ? 1 : omp_get_max_threads();
  if (threads == 1) return f(int64_t{0}, n, 0);
#pragma omp parallel num_threads(threads)
  {
    const int64_t thread = omp_get_thread_num(), count = omp_get_num_threads();
    f(n * thread / count, n * (thread + 1) / count, static_cast<int>(thread));
  }
}
// The same over numbers, in whole vectors.
template <class F>
void split_lanes(int64_t n, F&& f) {
  const int64_t groups = (n + kLanes - 1) / kLanes;
  split(groups, kLanes,
        [&](int64_t begin, int64_t end, int) { f(begin * kLanes, std::min(end * kLanes, n)); });
}

// X: V or Vs.
template <class X>
VOLANT_INLINE X tanh_of(const X& x) {
  return 1.0F - 2.0F * inverse_of(1.0F + exp_of(x + x));
}

}  // namespace volant::torch_ops::VOLANT_ISA
