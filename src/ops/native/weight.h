// A weight as the native backend holds it: a matrix packed for the kernels in the file's own number type, or
// a plain vector of f32 (norms).
#pragma once
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/native/memory.h"
#include "tensor/tensor_view.h"

namespace volant {

// How a number type is multiplied: the form its activations take and the kernel.
struct WeightFormat {
  enum class Input { kF32, kBF16, kQ8 };
  DType dtype;
  Input input;
  void (*Kernels::*matmul)(const MatmulArgs&);
};

class NativeWeight {
 public:
  NativeWeight() = default;
  // f32, f16, bf16 or q8_0, with one dimension or two. kLimit when there is no memory for it.
  static Result<NativeWeight> load(const TensorView& view, ThreadPool& pool);

  int64_t n_out() const { return n_out_; }
  int64_t n_in() const { return n_in_; }
  const WeightFormat& format() const { return *format_; }
  const void* data() const { return data_.data(); }
  const uint16_t* scales() const { return reinterpret_cast<const uint16_t*>(data_.data() + scales_at_); }
  // Of a weight with one dimension.
  const float* vector() const { return reinterpret_cast<const float*>(data_.data()); }
  size_t bytes() const { return data_.bytes(); }
  // Row `row` as f32.
  void read_row(int64_t row, float* out) const;

 private:
  const WeightFormat* format_ = nullptr;
  int64_t n_out_ = 0, n_in_ = 0;
  size_t scales_at_ = 0;
  Pages data_;
};

}  // namespace volant
