// Memory of one thread for what it computes on, and rounding up to what it reads at a time. Included only by
// the kernels, inside the namespace of their instruction set.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "ops/torch/vec.h"

namespace volant::torch_ops::VOLANT_ISA {

inline int64_t round_up(int64_t n, int64_t to = kLanes) { return (n + to - 1) / to * to; }

// Numbers of one thread, handed out in parts that begin on a line of the cache; they grow and stay.
class ThreadMemory {
 public:
  explicit ThreadMemory(int64_t total) {
    thread_local std::vector<float> memory;
    const auto wanted = static_cast<size_t>(total + kLanes);
    if (memory.size() < wanted) memory.resize(wanted);
    next_ = memory.data();
    next_ += (64 - reinterpret_cast<uintptr_t>(next_) % 64) / sizeof(float) % static_cast<uintptr_t>(kLanes);
  }
  float* take(int64_t count) { return std::exchange(next_, next_ + count); }
  uint16_t* take_pairs(int64_t count) { return reinterpret_cast<uint16_t*>(take(count)); }

 private:
  float* next_;
};

}  // namespace volant::torch_ops::VOLANT_ISA
