// Convolution, pooling and batch normalisation of pictures. A convolution is a product of its weight with the
// windows of the picture, laid in panels of 16 positions as the kernels read them: each output channel comes
// out as a row, which is how pictures lie.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "kernels/pack.h"
#include "ops/native/native_ops.h"

namespace volant {
namespace {

constexpr int64_t kChunkBytes = 64 * 1024;  // of windows, and of results, at a time: they stay in the cache

// One picture with its padding around it, and the windows over it.
class Windows {
 public:
  explicit Windows(const ConvSpec& spec)
      : spec_(spec),
        out_(spec.out()),
        height_(spec.in.height + 2 * spec.padding),
        width_(spec.in.width + 2 * spec.padding) {
    if (spec.padding > 0) {
      padded_ = std::make_unique<float[]>(static_cast<size_t>(spec.in.channels * height_ * width_));
    }
  }

  // With stride 1 the windows that would begin at the right border count too, so that neighbours in memory
  // are neighbours in a panel; they are left out when results are written.
  int64_t per_row() const { return spec_.stride == 1 ? width_ : out_.width; }
  int64_t count() const { return (out_.height - 1) * per_row() + out_.width; }
  int64_t n_panel() const { return panel_count(count()); }
  int64_t panel_numbers() const { return (spec_.n_in() + 1) * kPanel; }

  void set_picture(const float* x) {
    x_ = x;
    if (!padded_) return;
    const PictureShape& in = spec_.in;
    for (int64_t c = 0; c < in.channels; ++c)
      for (int64_t i = 0; i < in.height; ++i)
        std::copy_n(x + (c * in.height + i) * in.width, in.width,
                    padded_.get() + (c * height_ + i + spec_.padding) * width_ + spec_.padding);
    x_ = padded_.get();
  }

  // Inputs of windows 16 * panel ..., [n_in + 1, 16]: the last input is 1, for the bias.
  void pack(int64_t panel, float* to) const {
    const int64_t first = panel * kPanel, n = std::min(kPanel, count() - first);
    std::fill_n(to + spec_.n_in() * kPanel, kPanel, 1.0F);
    if (spec_.stride == 1) {
      pack_neighbours(first, n, to);
    } else {
      pack_strided(first, n, to);
    }
  }

 private:
  template <class F>
  void for_inputs(const F& f) const {
    int64_t input = 0;
    for (int64_t c = 0; c < spec_.in.channels; ++c)
      for (int64_t u = 0; u < spec_.kernel; ++u)
        for (int64_t v = 0; v < spec_.kernel; ++v) f(input++, x_ + (c * height_ + u) * width_ + v);
  }

  void pack_neighbours(int64_t first, int64_t n, float* to) const {
    if (n == kPanel)
      return for_inputs([&](int64_t i, const float* x) {
        std::memcpy(to + i * kPanel, x + first, static_cast<size_t>(kPanel) * sizeof(float));
      });
    for_inputs([&](int64_t i, const float* x) {
      std::copy_n(x + first, n, to + i * kPanel);
      std::fill_n(to + i * kPanel + n, kPanel - n, 0.0F);
    });
  }

  void pack_strided(int64_t first, int64_t n, float* to) const {
    int64_t at[kPanel];
    for (int64_t j = 0; j < kPanel; ++j) {
      const int64_t window = first + std::min(j, n - 1);
      at[j] = (window / out_.width * width_ + window % out_.width) * spec_.stride;
    }
    for_inputs([&](int64_t i, const float* x) {
      for (int64_t j = 0; j < kPanel; ++j) to[i * kPanel + j] = x[at[j]];
    });
  }

  ConvSpec spec_;
  PictureShape out_;
  int64_t height_, width_;  // with padding
  const float* x_ = nullptr;
  std::unique_ptr<float[]> padded_;
};

// Results of neighbouring windows to the rows of a channel: windows `first` ... `first + n - 1`.
void write_windows(const float* y, int64_t first, int64_t n, int64_t per_row, int64_t width, float* channel) {
  for (int64_t at = first; at < first + n;) {
    const int64_t row = at / per_row, column = at % per_row,
                  count = std::min(per_row - column, first + n - at);
    if (column < width)
      std::copy_n(y + at - first, std::min(count, width - column), channel + row * width + column);
    at += count;
  }
}

// The largest or the sum over the windows of one channel.
template <PoolSpec::Kind kKind>
void pool_channel(const float* x, const PoolSpec& spec, float* row, float* y) {
  const PictureShape out = spec.out();
  const int64_t width = spec.in.width;
  const float share = 1.0F / static_cast<float>(spec.size_y * spec.size_x);
  const auto join = [](float a, float b) { return kKind == PoolSpec::Kind::kMax ? (a < b ? b : a) : a + b; };
  for (int64_t i = 0; i < out.height; ++i) {
    const float* top = x + i * spec.stride * width;
    std::copy_n(top, width, row);
    for (int64_t u = 1; u < spec.size_y; ++u)
      for (int64_t j = 0; j < width; ++j) row[j] = join(row[j], top[u * width + j]);
    float* to = y + i * out.width;
    if (spec.size_x == 2 && spec.stride == 2) {
      for (int64_t j = 0; j < out.width; ++j) to[j] = join(row[2 * j], row[2 * j + 1]);
    } else {
      for (int64_t j = 0; j < out.width; ++j) {
        float value = row[j * spec.stride];
        for (int64_t v = 1; v < spec.size_x; ++v) value = join(value, row[j * spec.stride + v]);
        to[j] = value;
      }
    }
    if constexpr (kKind == PoolSpec::Kind::kAverage)
      for (int64_t j = 0; j < out.width; ++j) to[j] *= share;
  }
}

}  // namespace

NativeOps::Act NativeOps::conv2d(const Act& x, const Weight& w, const Weight& b, const ConvSpec& spec) {
  CHECK(x.columns() == spec.in.columns() && w.n_in() == spec.n_in() && w.n_out() == spec.channels);
  const PictureShape out_shape = spec.out();
  const int64_t n_in = spec.n_in() + 1, area = out_shape.height * out_shape.width;
  Act out = make(x.rows(), out_shape.columns());
  const Act weight = make(spec.channels, n_in);  // the bias behind each row
  for (int64_t o = 0; o < spec.channels; ++o) {
    w.read_row(o, weight.row(o));
    weight.row(o)[n_in - 1] = b.vector()[o];
  }
  const Windows shape(spec);
  const int64_t per_panel = std::max(n_in, spec.channels) * kPanel * static_cast<int64_t>(sizeof(float));
  const int64_t chunk = std::clamp<int64_t>(kChunkBytes / per_panel, 2, shape.n_panel() + 1);
  const int64_t n_chunk = (shape.n_panel() + chunk - 1) / chunk;
  const auto matmul = kernels().matmul[DType::kF32];
  const int64_t products = chunk * kPanel * n_in * spec.channels;
  threads_.parallel_for(
      x.rows() * n_chunk, grain_for(kGrainProducts, products), [&](int64_t begin, int64_t end) {
        Windows windows(spec);
        const auto packed =
            std::make_unique_for_overwrite<float[]>(static_cast<size_t>(chunk * windows.panel_numbers()));
        const auto results =
            std::make_unique_for_overwrite<float[]>(static_cast<size_t>(chunk * kPanel * spec.channels));
        for (int64_t item = begin; item < end; ++item) {
          const int64_t t = item / n_chunk, first = item % n_chunk * chunk;
          const int64_t n_panel = std::min(chunk, windows.n_panel() - first), at = first * kPanel;
          if (item == begin || first == 0) windows.set_picture(x.row(t));
          for (int64_t p = 0; p < n_panel; ++p)
            windows.pack(first + p, packed.get() + p * windows.panel_numbers());
          const int64_t n = std::min(n_panel * kPanel, windows.count() - at);
          const bool direct = windows.per_row() == out_shape.width;
          matmul({.x = weight.row(0),
                  .x_stride = n_in,
                  .n_rows = spec.channels,
                  .w = packed.get(),
                  .n_in = n_in,
                  .n_out = n,
                  .panel_begin = 0,
                  .panel_end = n_panel,
                  .y = direct ? out.row(t) + at : results.get(),
                  .y_stride = direct ? area : chunk * kPanel});
          if (direct) continue;
          for (int64_t o = 0; o < spec.channels; ++o)
            write_windows(results.get() + o * chunk * kPanel, at, n, windows.per_row(), out_shape.width,
                          out.row(t) + o * area);
        }
      });
  return out;
}

NativeOps::Act NativeOps::pool2d(const Act& x, const PoolSpec& spec) {
  CHECK(x.columns() == spec.in.columns());
  const PictureShape out_shape = spec.out();
  const int64_t in_area = spec.in.height * spec.in.width, out_area = out_shape.height * out_shape.width;
  Act out = make(x.rows(), out_shape.columns());
  for_rows(x, 1, [&](int64_t begin, int64_t end) {
    const auto row = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(spec.in.width));
    for (int64_t i = begin * spec.in.channels; i < end * spec.in.channels; ++i) {
      const float* from = x.row(0) + i * in_area;
      float* to = out.row(0) + i * out_area;
      if (spec.kind == PoolSpec::Kind::kMax) {
        pool_channel<PoolSpec::Kind::kMax>(from, spec, row.get(), to);
      } else {
        pool_channel<PoolSpec::Kind::kAverage>(from, spec, row.get(), to);
      }
    }
  });
  return out;
}

NativeOps::Act NativeOps::batch_norm(const Act& x, const BatchNorm<Weight>& norm) {
  CHECK(x.columns() == norm.shape.columns() && norm.scale->n_out() == norm.shape.channels);
  const int64_t channels = norm.shape.channels, area = norm.shape.height * norm.shape.width;
  const Act line = make(2, channels);  // y = factor * x + rest
  float *factor = line.row(0), *rest = line.row(1);
  for (int64_t c = 0; c < channels; ++c) {
    factor[c] = norm.scale->vector()[c] / std::sqrt(norm.variance->vector()[c] + norm.eps);
    rest[c] = norm.shift->vector()[c] - norm.mean->vector()[c] * factor[c];
  }
  Act out = make(x.rows(), x.columns());
  for_rows(x, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* from = x.row(r);
      float* to = out.row(r);
      if (area == 1) {
        for (int64_t c = 0; c < channels; ++c) to[c] = from[c] * factor[c] + rest[c];
        continue;
      }
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = c * area; i < (c + 1) * area; ++i) to[i] = from[i] * factor[c] + rest[c];
    }
  });
  return out;
}

}  // namespace volant
