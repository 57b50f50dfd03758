// A tensor that somebody else owns: dtype, row-major shape, bytes (any alignment).
#pragma once
#include <span>
#include <vector>

#include "tensor/dtype.h"

namespace volant {
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;

  int64_t rows() const { return shape.size() < 2 ? 1 : shape[0]; }
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t count() const {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return n;
  }
};
// All numbers of a view as f32.
std::vector<float> to_f32(const TensorView& view);
}  // namespace volant
