// Convolution, pooling and batch normalisation of pictures, in f32. Convolution and batch norm are libtorch's
// own operations with their own backward; pooling is our loops.
#include <algorithm>

#include "ops/torch/rows.h"
// Above it: rows.h keeps a macro of libtorch's headers away.
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "ops/torch/autograd.h"
#include "ops/torch/torch_ops.h"

namespace volant {
namespace {

using at::Tensor;
using torch_ops::converted;
using torch_ops::is_bf16;
using torch_ops::learns;
using torch_ops::with_backward;
using Gradients = std::vector<Tensor>;
using Weight = TorchOps::Weight;

Tensor as_pictures(const Tensor& x, const PictureShape& shape) {
  return x.view({x.size(0), shape.channels, shape.height, shape.width});
}
// The same for batch norm, where rows of one point stay rows.
Tensor as_channels(const Tensor& x, const PictureShape& shape) {
  return shape.height * shape.width == 1 ? x : as_pictures(x, shape);
}
Tensor as_rows(const Tensor& x) { return x.contiguous().view({x.size(0), -1}); }

void add_gradient(const Tensor& grad, TorchParameter& w) {
  if (w.trained()) w.grad.view({-1}).add_(grad.reshape({-1}));
}

// f(plane of x, plane of y) for each channel of each picture, on all threads.
template <class F>
void for_planes(int64_t n, const F& f) {
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i) f(i);
}

// The largest number of each window, and where in the plane it stands; the first of equals. kSize: of square
// windows, known to the compiler; 0: as the spec says.
template <int64_t kSize>
void max_plane(const float* x, const PoolSpec& spec, float* y, int32_t* at) {
  const PictureShape out = spec.out();
  for (int64_t i = 0; i < out.height; ++i)
    for (int64_t j = 0; j < out.width; ++j) {
      const int64_t corner = i * spec.stride * spec.in.width + j * spec.stride;
      int64_t best = corner;
      float most = x[corner];
      for (int64_t u = 0; u < (kSize > 0 ? kSize : spec.size_y); ++u)
        for (int64_t v = 0; v < (kSize > 0 ? kSize : spec.size_x); ++v) {
          const int64_t place = corner + u * spec.in.width + v;
          // No branch: which one is largest cannot be foreseen.
          best += (place - best) * static_cast<int64_t>(x[place] > most);
          most = std::max(most, x[place]);
        }
      *y++ = most;
      *at++ = static_cast<int32_t>(best);
    }
}

// With `spread` false y = mean of each window of x; true: x += share of y for each window.
template <bool kSpread, class X, class Y>
void mean_plane(X* x, const PoolSpec& spec, Y* y) {
  const PictureShape out = spec.out();
  const float share = 1.0F / static_cast<float>(spec.size_y * spec.size_x);
  for (int64_t i = 0; i < out.height; ++i)
    for (int64_t j = 0; j < out.width; ++j, ++y) {
      X* corner = x + i * spec.stride * spec.in.width + j * spec.stride;
      float sum = 0;
      for (int64_t u = 0; u < spec.size_y; ++u)
        for (int64_t v = 0; v < spec.size_x; ++v) {
          if constexpr (kSpread) {
            corner[u * spec.in.width + v] += *y * share;
          } else {
            sum += corner[u * spec.in.width + v];
          }
        }
      if constexpr (!kSpread) *y = sum * share;
    }
}

}  // namespace

TorchOps::Act TorchOps::conv2d(const Act& x_in, const Weight& w, const Weight& b, const ConvSpec& spec) {
  const Tensor x = as_pictures(converted(x_in.x().detach(), false), spec.in);
  const Tensor weight = w->master.view({spec.channels, spec.in.channels, spec.kernel, spec.kernel});
  const std::array<int64_t, 2> stride{spec.stride, spec.stride}, padding{spec.padding, spec.padding};
  const Tensor y = as_rows(at::conv2d(x, weight, b->master, stride, padding));
  const bool wants_x = x_in.x().requires_grad();
  if (!record_ || !(wants_x || w->trained() || b->trained())) return {y};
  return {with_backward(
      y, {x_in.x()},
      [x, weight, w, b, spec, stride, padding, wants_x, bf16 = is_bf16(x_in.x())](const Tensor& grad) {
        const Tensor g = as_pictures(converted(grad, false), spec.out());
        const std::array<int64_t, 2> ones{1, 1}, zeros{0, 0};
        const std::array<int64_t, 1> biases{spec.channels};
        const auto [grad_x, grad_w, grad_b] =
            at::convolution_backward(g, x, weight, at::IntArrayRef(biases), stride, padding, ones, false,
                                     zeros, 1, {wants_x, w->trained(), b->trained()});
        if (w->trained()) add_gradient(grad_w, *w);
        if (b->trained()) add_gradient(grad_b, *b);
        if (!wants_x) return Gradients{Tensor()};
        return Gradients{converted(as_rows(grad_x), bf16)};
      })};
}

TorchOps::Act TorchOps::pool2d(const Act& x_in, const PoolSpec& spec) {
  const Tensor x = converted(x_in.x().detach(), false);
  CHECK(x.size(1) == spec.in.columns());
  const PictureShape shape = spec.out();
  const int64_t n_plane = x.size(0) * shape.channels, in_area = spec.in.height * spec.in.width,
                out_area = shape.height * shape.width;
  const bool max = spec.kind == PoolSpec::Kind::kMax;
  Tensor y = torch_ops::empty(x.size(0), shape.columns(), false), at;
  if (max) at = at::empty({x.size(0), shape.columns()}, at::kInt);
  const float* from = x.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  auto* places = max ? at.data_ptr<int32_t>() : nullptr;
  const auto max_of = spec.size_x == 2 && spec.size_y == 2 ? max_plane<2> : max_plane<0>;
  for_planes(n_plane, [&](int64_t i) {
    if (max) {
      max_of(from + i * in_area, spec, to + i * out_area, places + i * out_area);
    } else {
      mean_plane<false>(from + i * in_area, spec, to + i * out_area);
    }
  });
  if (!record_ || !learns({x_in.x()})) return {y};
  return {with_backward(y, {x_in.x()}, [=, bf16 = is_bf16(x_in.x())](const Tensor& grad) {
    const Tensor g = converted(grad, false);
    Tensor grad_x = at::zeros({g.size(0), spec.in.columns()}, at::kFloat);
    const float* by_y = g.data_ptr<float>();
    float* by_x = grad_x.data_ptr<float>();
    const int32_t* best = max ? at.data_ptr<int32_t>() : nullptr;
    for_planes(n_plane, [&](int64_t i) {
      if (max) {
        for (int64_t k = i * out_area; k < (i + 1) * out_area; ++k) by_x[i * in_area + best[k]] += by_y[k];
      } else {
        mean_plane<true>(by_x + i * in_area, spec, by_y + i * out_area);
      }
    });
    return Gradients{converted(grad_x, bf16)};
  })};
}

TorchOps::Act TorchOps::batch_norm(const Act& x_in, const BatchNorm<Weight>& norm) {
  const Weight scale = *norm.scale, shift = *norm.shift, mean = *norm.mean, variance = *norm.variance;
  const PictureShape shape = norm.shape;
  const Tensor x = as_channels(converted(x_in.x().detach(), false), shape);
  const int64_t n = x.size(0) * shape.height * shape.width;
  // A frozen layer goes by what it has, and so does a batch of one number a channel, which has no variance.
  const bool by_batch = trains() && mean->follows && variance->follows && n > 1;
  const auto eps = static_cast<double>(norm.eps), momentum = static_cast<double>(norm.momentum);
  const auto [y_pictures, saved_mean, saved_inverse] = at::native_batch_norm(
      x, scale->master, shift->master, mean->master, variance->master, by_batch, momentum, eps);
  const Tensor y = as_rows(y_pictures);
  if (!record_ || !(scale->trained() || shift->trained() || learns({x_in.x()}))) return {y};
  return {with_backward(
      y, {x_in.x()},
      [=, by_mean = saved_mean, by_inverse = saved_inverse, bf16 = is_bf16(x_in.x())](const Tensor& grad) {
        const Tensor g = as_channels(converted(grad, false), shape);
        const auto [grad_x, grad_scale, grad_shift] =
            at::native_batch_norm_backward(g, x, scale->master, mean->master, variance->master, by_mean,
                                           by_inverse, by_batch, eps, {true, true, true});
        add_gradient(grad_scale, *scale);
        add_gradient(grad_shift, *shift);
        return Gradients{converted(as_rows(grad_x), bf16)};
      })};
}

}  // namespace volant
