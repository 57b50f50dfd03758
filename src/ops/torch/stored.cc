// A matrix kept in few bits, unpacked for products and packed when it is loaded: rows shared among threads.
#include <omp.h>

#include <vector>

#include "ops/torch/products.h"

namespace volant::torch_ops {

void unpack(const StoredMatrix& matrix, Out to) {
  const auto* rows = static_cast<const char*>(matrix.data);
  const auto from_bytes = static_cast<int64_t>(row_bytes(matrix.dtype, matrix.n_in));
  const DType type = to.bf16 ? DType::kBF16 : DType::kF32;
  const auto to_bytes = static_cast<int64_t>(row_bytes(type, matrix.n_in));
  auto* out = static_cast<char*>(to.data);
#pragma omp parallel
  {
    std::vector<float> row(static_cast<size_t>(matrix.n_in));
#pragma omp for
    for (int64_t o = 0; o < matrix.n_out; ++o) {
      to_f32(matrix.dtype, rows + o * from_bytes, matrix.n_in, row.data());
      from_f32(type, row.data(), matrix.n_in, out + o * to_bytes);
    }
  }
}

void pack(const float* numbers, const StoredMatrix& matrix, void* to) {
  const auto to_bytes = static_cast<int64_t>(row_bytes(matrix.dtype, matrix.n_in));
  auto* out = static_cast<char*>(to);
#pragma omp parallel for
  for (int64_t o = 0; o < matrix.n_out; ++o)
    from_f32(matrix.dtype, numbers + o * matrix.n_in, matrix.n_in, out + o * to_bytes);
}

}  // namespace volant::torch_ops
