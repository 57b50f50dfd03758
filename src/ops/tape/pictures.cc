// Convolution, pooling and batch normalisation on the tape.
#include <algorithm>
#include <cmath>

#include "ops/tape/tape_ops.h"
#include "ops/tape/turned.h"

namespace volant {
namespace {

// Adds the gradients of windows [positions, C * k * k] to those of the picture they were taken from.
void add_windows(const float* windows, const ConvSpec& spec, float* picture) {
  const PictureShape out = spec.out(), in = spec.in;
  for (int64_t i = 0; i < out.height; ++i)
    for (int64_t j = 0; j < out.width; ++j)
      for (int64_t c = 0; c < in.channels; ++c)
        for (int64_t u = 0; u < spec.kernel; ++u)
          for (int64_t v = 0; v < spec.kernel; ++v, ++windows) {
            const int64_t y = i * spec.stride + u - spec.padding, x = j * spec.stride + v - spec.padding;
            if (y >= 0 && y < in.height && x >= 0 && x < in.width)
              picture[(c * in.height + y) * in.width + x] += *windows;
          }
}

}  // namespace

TapeOps::Act TapeOps::conv2d(const Act& x, const Weight& w, const Weight& b, const ConvSpec& spec) {
  Act y = record(native_.conv2d(x.node->value, w.plain, b.plain, spec), {&x});
  y.node->backward = [this, x, &w, spec, node = y.node.get()] {
    float* to = gradient_of(x);
    const PictureShape out = spec.out();
    const int64_t area = out.height * out.width;
    std::vector<float> by_position(static_cast<size_t>(area * spec.channels));
    for (int64_t t = 0; t < x.rows(); ++t) {
      const float* dy = node->gradient.data() + t * out.columns();
      for (int64_t c = 0; c < spec.channels; ++c)
        for (int64_t p = 0; p < area; ++p)
          by_position[static_cast<size_t>(p * spec.channels + c)] = dy[c * area + p];
      const NativeAct windows = turned_product(native_, by_position, spec.channels, w);
      add_windows(windows.row(0), spec, to + t * spec.in.columns());
    }
  };
  return y;
}

// Of the largest number of a window the first one takes the gradient.
TapeOps::Act TapeOps::pool2d(const Act& x, const PoolSpec& spec) {
  Act y = record(native_.pool2d(x.node->value, spec), {&x});
  y.node->backward = [x, spec, node = y.node.get()] {
    float* to = gradient_of(x);
    const PictureShape out = spec.out(), in = spec.in;
    const float share = 1.0F / static_cast<float>(spec.size_y * spec.size_x);
    const float* dy = node->gradient.data();
    for (int64_t plane = 0; plane < x.rows() * in.channels; ++plane) {
      const int64_t first = plane * in.height * in.width;
      const float* from = x.node->value.row(0) + first;
      for (int64_t i = 0; i < out.height; ++i)
        for (int64_t j = 0; j < out.width; ++j, ++dy) {
          int64_t best = i * spec.stride * in.width + j * spec.stride;
          for (int64_t u = 0; u < spec.size_y; ++u)
            for (int64_t v = 0; v < spec.size_x; ++v) {
              const int64_t at = (i * spec.stride + u) * in.width + j * spec.stride + v;
              if (spec.kind == PoolSpec::Kind::kAverage) to[first + at] += *dy * share;
              if (from[at] > from[best]) best = at;
            }
          if (spec.kind == PoolSpec::Kind::kMax) to[first + best] += *dy;
        }
    }
  };
  return y;
}

TapeOps::Act TapeOps::batch_norm(const Act& x, const BatchNorm<Weight>& norm) {
  const BatchNorm<NativeWeight> plain{.scale = &norm.scale->plain,
                                      .shift = &norm.shift->plain,
                                      .mean = &norm.mean->plain,
                                      .variance = &norm.variance->plain,
                                      .shape = norm.shape,
                                      .eps = norm.eps,
                                      .momentum = norm.momentum};
  Act y = record(native_.batch_norm(x.node->value, plain), {&x});
  y.node->backward = [x, plain, node = y.node.get()] {
    float* to = gradient_of(x);
    const int64_t area = plain.shape.height * plain.shape.width;
    for (int64_t r = 0; r < x.rows(); ++r)
      for (int64_t c = 0; c < plain.shape.channels; ++c) {
        const float factor = plain.scale->vector()[c] / std::sqrt(plain.variance->vector()[c] + plain.eps);
        for (int64_t i = 0; i < area; ++i) {
          const auto at = static_cast<size_t>(r * x.columns() + c * area + i);
          to[at] += factor * node->gradient[at];
        }
      }
  };
  return y;
}

}  // namespace volant
