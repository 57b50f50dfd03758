#include "ops/torch/low_rank.h"

#include "ops/torch/tensor.h"
// Above them: tensor.h keeps a macro of libtorch's headers away.
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace volant::torch_ops {
namespace {

std::vector<float> numbers_of(const at::Tensor& x) {
  const at::Tensor dense = x.contiguous();
  const float* data = dense.data_ptr<float>();
  return {data, data + dense.numel()};
}

}  // namespace

// E = U S V^T. The eigenvectors of E^T E are V, those of E E^T are U, the eigenvalues of both S^2.
LowRank nearest_of_rank(std::span<const float> e_OI, int64_t n_out, int64_t n_in, int64_t r) {
  CHECK(std::cmp_equal(e_OI.size(), n_out * n_in) && r >= 1 && r <= std::min(n_out, n_in));
  const at::Tensor e = at::from_blob(const_cast<float*>(e_OI.data()), {n_out, n_in}, at::kFloat);
  const bool by_inputs = n_in <= n_out;
  const at::Tensor square = by_inputs ? at::mm(e.t(), e) : at::mm(e, e.t());
  const auto [squares, vectors] = at::linalg_eigh(square);  // the largest are the last
  const at::Tensor side = vectors.narrow(1, square.size(0) - r, r);
  at::Tensor other = by_inputs ? at::mm(e, side) : at::mm(side.t(), e);  // U S, or S V^T
  // Square roots of S on both sides; what is no more than noise of the eigenvalues is left out.
  at::Tensor grown = squares.narrow(0, square.size(0) - r, r).contiguous().clone(), shrunk = grown.clone();
  float* up = grown.data_ptr<float>();
  float* down = shrunk.data_ptr<float>();
  const float least = 1e-6F * std::max(up[r - 1], 0.0F);
  for (int64_t i = 0; i < r; ++i) {
    const bool there = up[i] > least;
    up[i] = there ? std::pow(up[i], 0.25F) : 0.0F;
    down[i] = there ? 1 / up[i] : 0.0F;
  }
  if (by_inputs) return {numbers_of(at::mul(side, grown).t()), numbers_of(at::mul(other, shrunk))};
  return {numbers_of(at::mul(other, shrunk.unsqueeze(1))), numbers_of(at::mul(side, grown))};
}

}  // namespace volant::torch_ops
