// Matrix products of training through oneDNN: f32 or bf16 numbers, f32 sums, weights packed once per step.
// T rows, I inputs, O outputs.
#pragma once
#include <cstdint>
#include <memory>

#include "ops/torch/kernels.h"

namespace volant::torch_ops {

// One weight [O, I] in the layouts that oneDNN likes best, made from f32 on first use after `changed()`.
class PackedWeight {
 public:
  PackedWeight(const float* master_OI, int64_t n_out, int64_t n_in);
  ~PackedWeight();
  PackedWeight(const PackedWeight&) = delete;
  PackedWeight& operator=(const PackedWeight&) = delete;

  void changed();  // the master numbers are new
  // y[T, O] = x[T, I] W^T. x is f32 or bf16 and decides the arithmetic; y may differ.
  void forward(In x, int64_t rows, Out y);
  // grad_x[T, I] = g[T, O] W.
  void backward(In g, int64_t rows, Out grad_x);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// grad[O, I] += g[T, O]^T x[T, I]; g and x of one type.
void add_weight_gradient(In g, In x, int64_t rows, int64_t n_out, int64_t n_in, float* grad);

// FLOP/s of one large product on all threads, measured now (about 0.1 s).
double measured_peak_flops(bool bf16);

}  // namespace volant::torch_ops
