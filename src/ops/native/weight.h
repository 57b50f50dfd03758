// A weight as the native backend holds it: a matrix packed for the kernels in the file's own number type, or
// a plain vector of f32 (norms).
#pragma once
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/native/memory.h"
#include "tensor/tensor_view.h"

namespace volant {

struct NativeAdapter;

// The form that activations take for the products of a number type.
enum class MatmulInput { kF32, kBF16, kQ8 };

class NativeWeight {
 public:
  NativeWeight();
  NativeWeight(NativeWeight&&) noexcept;
  NativeWeight& operator=(NativeWeight&&) noexcept;
  ~NativeWeight();
  // Any type but i32, with one dimension or two. kLimit when there is no memory for it.
  // `shelf`: where it stands beside others; null: alone.
  static Result<NativeWeight> load(const TensorView& view, ThreadPool& pool, Shelf* shelf = nullptr);

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
  // A low-rank adapter beside it: number `number`, from 1 on. f32.
  void add_adapter(int32_t number, std::unique_ptr<NativeAdapter> adapter);
  // Null when this weight has none of that number.
  const NativeAdapter* adapter(int32_t number) const;

 private:
  DType dtype_ = DType::kF32;
  int64_t n_out_ = 0, n_in_ = 0;
  size_t scales_at_ = 0;
  Shelf::Piece data_;
  std::vector<std::unique_ptr<NativeAdapter>> adapters_;
};

// y += (x A^T) B^T, then times `factor` of each output where it is not empty (DoRA).
struct NativeAdapter {
  NativeWeight a, b;  // A [r, n_in]; B [n_out, r] times the adapter's scale
  std::vector<float> factor;
};

}  // namespace volant
