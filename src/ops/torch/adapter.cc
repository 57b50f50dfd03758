#include "ops/torch/adapter.h"

#include <bit>
#include <cmath>
#include <utility>

#include "ops/torch/aten.h"
#include "ops/torch/autograd.h"
#include "ops/torch/dropout.h"
#include "ops/torch/rows.h"

namespace volant {
namespace torch_ops {
namespace {

using at::Tensor;
using Weight = std::shared_ptr<TorchParameter>;

// Inline twins of tensor/dtype.h for the loops below; what they round is always finite.
float number(float x) { return x; }
float number(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
void set(float& to, float x) { to = x; }
void set(uint16_t& to, float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  to = static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// f(pointer) with the numbers of x as float or uint16_t.
template <class F>
void typed(const Tensor& x, F&& f) {
  if (is_bf16(x)) {
    f(static_cast<uint16_t*>(x.data_ptr()));
  } else {
    f(static_cast<float*>(x.data_ptr()));
  }
}

void multiply(Tensor& x, float by) {
  const int64_t n = x.numel();
  typed(x, [&](auto* numbers) {
#pragma omp parallel for
    for (int64_t i = 0; i < n; ++i) set(numbers[i], number(numbers[i]) * by);
  });
}

void add(const Tensor& x, Tensor& to) { kernels().add(in(to), in(x), to.numel(), out(to)); }

// y[t, o] = x[t, o] * by[o].
Tensor times_columns(const Tensor& x, const std::vector<float>& by) {
  const int64_t rows = x.size(0), columns = x.size(1);
  Tensor y = empty(rows, columns, is_bf16(x));
  typed(x, [&](auto* from) {
    auto* to = static_cast<decltype(from)>(y.data_ptr());
#pragma omp parallel for
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t o = 0; o < columns; ++o)
        set(to[t * columns + o], number(from[t * columns + o]) * by[static_cast<size_t>(o)]);
  });
  return y;
}

// sums[o] += sum over t of x[t, o] y[t, o] / by[o]. x and y of one type.
void add_column_products(const Tensor& x, const Tensor& y, const std::vector<float>& by, float* sums) {
  const int64_t rows = x.size(0), columns = x.size(1);
  constexpr int64_t kStrip = 64;  // columns that one thread adds up
  typed(x, [&](auto* xs) {
    const auto* ys = static_cast<decltype(xs)>(y.data_ptr());
#pragma omp parallel for
    for (int64_t begin = 0; begin < columns; begin += kStrip) {
      const int64_t n = std::min(kStrip, columns - begin);
      float strip[kStrip] = {};
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t i = 0; i < n; ++i)
          strip[i] += number(xs[t * columns + begin + i]) * number(ys[t * columns + begin + i]);
      for (int64_t i = 0; i < n; ++i) sums[begin + i] += strip[i] / by[static_cast<size_t>(begin + i)];
    }
  });
}

// What the forward pass of an adapter leaves for the backward pass.
struct Kept {
  Tensor dropped;             // x after dropout [T, I]
  Tensor inner;               // scale * dropped A^T [T, r]
  Tensor before;              // DoRA: y before the magnitude [T, O]
  std::vector<float> factor;  // DoRA: magnitude / norm [O]
  std::vector<float> norms;
  uint64_t seed = 0;  // of dropout; 0: none
};

// Adds the adapter's part to y = x W^T.
Kept apply(const Tensor& x, TorchParameter& w, uint64_t seed, Tensor& y) {
  TorchAdapter& adapter = *w.adapter;
  Kept kept{.dropped = x, .inner = {}, .before = {}, .factor = {}, .norms = {}};
  if (adapter.dropout > 0 && seed != 0) {
    kept.seed = seed;
    kept.dropped = empty(x.size(0), x.size(1), is_bf16(x));
    drop(x, adapter.dropout, seed, kept.dropped);
  }
  const int64_t rows = x.size(0);
  kept.inner = empty(rows, adapter.a->shape[0], is_bf16(x));
  adapter.a->packed->forward(in(kept.dropped), rows, out(kept.inner));
  multiply(kept.inner, adapter.scale);
  adapter.b->packed->forward(in(kept.inner), rows, out(y), /*add=*/true);
  if (!adapter.magnitude) return kept;
  kept.norms = adapter.norms(w);
  kept.factor.resize(kept.norms.size());
  for (size_t o = 0; o < kept.norms.size(); ++o)
    kept.factor[o] = adapter.magnitude->values()[o] / kept.norms[o];
  kept.before = y;
  y = times_columns(y, kept.factor);
  return kept;
}

// Adds the gradients of A, B and the magnitude for g [T, O], and turns g into that of y before the magnitude.
// Gives the gradient of `inner`.
Tensor apply_backward(const Kept& kept, TorchAdapter& adapter, Tensor& g) {
  const int64_t rows = g.size(0), r = adapter.a->shape[0];
  if (adapter.magnitude) {
    add_column_products(g, kept.before, kept.norms, adapter.magnitude->gradient());
    g = times_columns(g, kept.factor);
  }
  Tensor grad_inner = empty(rows, r, is_bf16(g));
  adapter.b->packed->backward(in(g), rows, out(grad_inner));
  multiply(grad_inner, adapter.scale);
  add_weight_gradient(in(g), in(kept.inner), rows, g.size(1), r, adapter.b->gradient());
  add_weight_gradient(in(grad_inner), in(kept.dropped), rows, r, kept.dropped.size(1), adapter.a->gradient());
  return grad_inner;
}

void add_input_gradient(const Kept& kept, TorchAdapter& adapter, const Tensor& grad_inner, Tensor& grad_x) {
  const int64_t rows = grad_inner.size(0);
  if (kept.seed == 0) return adapter.a->packed->backward(in(grad_inner), rows, out(grad_x), /*add=*/true);
  Tensor part = empty(rows, grad_x.size(1), is_bf16(grad_x));
  adapter.a->packed->backward(in(grad_inner), rows, out(part));
  drop(part, adapter.dropout, kept.seed, part);
  add(part, grad_x);
}

}  // namespace

Tensor adapted_linear(const Tensor& given, const Weight& w, const LinearMode& mode) {
  const Tensor x = converted(given.detach(), mode.bf16);
  const int64_t rows = x.size(0), n_in = x.size(1);
  Tensor y = empty(rows, w->shape[0], mode.bf16);
  w->packed->forward(in(x), rows, out(y));
  Kept kept = apply(x, *w, mode.dropout_seed, y);
  if (!mode.record) return y;
  return with_backward(y, {given},
                       [w, kept = std::move(kept), rows, n_in, wants_x = given.requires_grad(),
                        x_bf16 = is_bf16(x), bf16 = is_bf16(given)](const Tensor& grad) {
                         Tensor g = converted(grad, x_bf16), grad_x;
                         const Tensor grad_inner = apply_backward(kept, *w->adapter, g);
                         if (!wants_x) return std::vector<Tensor>{grad_x};
                         grad_x = empty(rows, n_in, bf16);
                         w->packed->backward(in(g), rows, out(grad_x));
                         add_input_gradient(kept, *w->adapter, grad_inner, grad_x);
                         return std::vector<Tensor>{grad_x};
                       });
}

}  // namespace torch_ops

void TorchAdapter::changed() {
  a->packed->changed();
  b->packed->changed();
  norms_.clear();
}

const std::vector<float>& TorchAdapter::norms(const TorchParameter& matrix) {
  if (!norms_.empty()) return norms_;
  if (matrix.where != TorchBackend::kKernels) return norms_ = torch_ops::aten::adapted_norms(matrix);
  const torch_ops::StoredMatrix w = matrix.matrix();
  // W + (scale B) A, in f32: B's rows are those of a batch that meets A.
  at::Tensor sum = at::empty({w.n_out, w.n_in}, at::kFloat), scaled = b->master.clone();
  torch_ops::unpack(w, {sum.data_ptr(), false});
  torch_ops::multiply(scaled, scale);
  a->packed->backward({scaled.data_ptr(), false}, w.n_out, {sum.data_ptr(), false}, /*add=*/true);
  norms_.resize(static_cast<size_t>(w.n_out));
  const float* numbers = sum.data_ptr<float>();
#pragma omp parallel for
  for (int64_t o = 0; o < w.n_out; ++o) {
    double squares = 0;
    for (int64_t i = 0; i < w.n_in; ++i) {
      const auto x = static_cast<double>(numbers[o * w.n_in + i]);
      squares += x * x;
    }
    norms_[static_cast<size_t>(o)] = static_cast<float>(std::sqrt(squares));
  }
  return norms_;
}

}  // namespace volant
