// Matrix products of training: f32 or bf16 numbers, f32 sums; by oneDNN, or by pair_products.cc.
// T rows, I inputs, O outputs.
#pragma once
#include <cstdint>
#include <memory>

#include "ops/torch/kernels.h"
#include "tensor/dtype.h"

namespace volant::torch_ops {

// The numbers of a weight [O, I], row-major, that somebody else keeps.
struct StoredMatrix {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t n_out = 0, n_in = 0;
};

// One weight as a factor of products. Kept in f32 it is packed once after `changed()` in the layouts that
// products read fastest. Kept in fewer bits (bf16, blocks) it is unpacked anew for each product into one
// buffer that all weights share, so that it costs no memory besides its own.
class PackedWeight {
 public:
  explicit PackedWeight(const StoredMatrix& matrix);
  ~PackedWeight();
  PackedWeight(const PackedWeight&) = delete;
  PackedWeight& operator=(const PackedWeight&) = delete;

  void changed();            // the numbers are new
  void drop();               // frees the layouts, which are made again when they are needed
  uint64_t version() const;  // counts those changes
  // y[T, O] = x[T, I] W^T, or += with `add`. x is f32 or bf16 and decides the arithmetic; y may differ.
  void forward(In x, int64_t rows, Out y, bool add = false);
  // grad_x[T, I] = g[T, O] W, or +=.
  void backward(In g, int64_t rows, Out grad_x, bool add = false);
  // Whether products of bf16 can be finished where they are stored; and those products.
  bool finishes() const;
  void forward(In x, int64_t rows, const Finish& finish, Out y);
  void backward(In g, int64_t rows, const Finish& finish, Out grad_x);
  // Bytes of the layouts made so far.
  uint64_t packed_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// grad[O, I] += g[T, O]^T x[T, I], and grad_bias[O] += the sum of g's rows unless it is null; g and x of one
// type.
void add_weight_gradient(In g, In x, int64_t rows, int64_t n_out, int64_t n_in, float* grad,
                         float* grad_bias = nullptr);

// FLOP/s of one large product on all threads, oneDNN's or ours, measured now (about 0.2 s).
double measured_peak_flops(bool bf16);

// The numbers of a matrix as f32 or bf16 [O, I], and back from f32; all threads. (stored.cc)
void unpack(const StoredMatrix& matrix, Out to);
void pack(const float* numbers, const StoredMatrix& matrix, void* to);

}  // namespace volant::torch_ops
