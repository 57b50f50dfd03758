// A weight as the native backend holds it: a matrix packed for the kernels in the file's own number type, or
// a plain vector of f32 (norms).
#pragma once
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/native/memory.h"
#include "tensor/tensor_view.h"

namespace volant {

// The form that activations take for the products of a number type.
enum class MatmulInput { kF32, kBF16, kQ8 };

class NativeWeight {
 public:
  NativeWeight() = default;
  // Any type but i32, with one dimension or two. kLimit when there is no memory for it.
  static Result<NativeWeight> load(const TensorView& view, ThreadPool& pool);

  int64_t n_out() const { return n_out_; }
  int64_t n_in() const { return n_in_; }
  DType dtype() const { return dtype_; }
  MatmulInput input() const;
  const void* data() const { return data_.data(); }
  const void* scales() const { return data_.data() + scales_at_; }
  // Of a weight with one dimension.
  const float* vector() const { return reinterpret_cast<const float*>(data_.data()); }
  size_t bytes() const { return data_.bytes(); }
  // Row `row` as f32.
  void read_row(int64_t row, float* out) const;

 private:
  DType dtype_ = DType::kF32;
  int64_t n_out_ = 0, n_in_ = 0;
  size_t scales_at_ = 0;
  Pages data_;
};

}  // namespace volant
