// Convolution, pooling and batch normalisation of pictures. A convolution is a product of its weight with the
// windows of the picture: each output channel comes out as a row, which is how pictures lie. With stride 1
// the windows are read where they overlap in the picture; with others they are copied out.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/pack.h"
#include "ops/native/native_ops.h"

namespace volant {
namespace {

constexpr int64_t kChunkBytes = 64 * 1024;  // of windows, and of results, at a time: they stay in the cache

// One picture with its padding around it, and the windows over it: input k of window n stands at number
// at(k) + n. The last input is 1, for the bias.
class Windows {
 public:
  Windows(const ConvSpec& spec, int64_t chunk)
      : spec_(spec),
        out_(spec.out()),
        height_(spec.in.height + 2 * spec.padding),
        width_(spec.in.width + 2 * spec.padding),
        n_copied_(chunk * kPanel) {
    const int64_t picture =
        spec.in.channels * height_ * width_ + kPanel;  // the last panel may reach beyond it
    const int64_t n_ones = spec.stride == 1 ? n_panel() * kPanel : 0;
    picture_ = std::make_unique<float[]>(static_cast<size_t>(picture + n_ones));
    std::fill_n(picture_.get() + picture, n_ones, 1.0F);
    for (int64_t c = 0; c < spec.in.channels; ++c)
      for (int64_t u = 0; u < spec.kernel; ++u)
        for (int64_t v = 0; v < spec.kernel; ++v) at_.push_back((c * height_ + u) * width_ + v);
    at_.push_back(picture);
    if (spec.stride == 1) return;
    inputs_ = std::exchange(at_, {});
    inputs_.pop_back();
    for (int64_t k = 0; k <= spec.n_in(); ++k) at_.push_back(k * n_copied_);
    copied_ = std::make_unique<float[]>(static_cast<size_t>((spec.n_in() + 1) * n_copied_));
    std::fill_n(copied_.get() + spec.n_in() * n_copied_, n_copied_, 1.0F);
  }

  // With stride 1 the windows that would begin at the right border count too, so that neighbours in memory
  // are neighbours among windows; they are left out when results are written.
  static int64_t per_row(const ConvSpec& spec) {
    return spec.stride == 1 ? spec.in.width + 2 * spec.padding : spec.out().width;
  }
  static int64_t count(const ConvSpec& spec) {
    return (spec.out().height - 1) * per_row(spec) + spec.out().width;
  }

  void set_picture(const float* x) {
    const PictureShape& in = spec_.in;
    if (spec_.padding == 0) {
      std::copy_n(x, in.columns(), picture_.get());
      return;
    }
    for (int64_t c = 0; c < in.channels; ++c)
      for (int64_t i = 0; i < in.height; ++i)
        std::copy_n(x + (c * in.height + i) * in.width, in.width,
                    picture_.get() + (c * height_ + i + spec_.padding) * width_ + spec_.padding);
  }

  // The windows from number `first` on, at most a chunk of them.
  const float* from(int64_t first) {
    if (spec_.stride == 1) return picture_.get() + first;
    const int64_t n = std::min(n_copied_, count(spec_) - first);
    for (int64_t j = 0; j < n; ++j) {
      const int64_t window = first + j;
      const float* x = picture_.get() + (window / out_.width * width_ + window % out_.width) * spec_.stride;
      for (size_t k = 0; k < inputs_.size(); ++k)
        copied_[k * static_cast<size_t>(n_copied_) + static_cast<size_t>(j)] = x[inputs_[k]];
    }
    return copied_.get();
  }
  const int64_t* at() const { return at_.data(); }

 private:
  int64_t n_panel() const { return panel_count(count(spec_)); }

  ConvSpec spec_;
  PictureShape out_;
  int64_t height_, width_;  // with padding
  int64_t n_copied_;
  std::unique_ptr<float[]> picture_, copied_;
  std::vector<int64_t> at_, inputs_;  // the latter in the picture, where windows are copied
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
  const int64_t n_window = Windows::count(spec), per_row = Windows::per_row(spec);
  const bool direct = per_row == out_shape.width;
  const int64_t per_panel = (spec.stride == 1 ? spec.channels : std::max(n_in, spec.channels)) * kPanel *
                            static_cast<int64_t>(sizeof(float));
  const int64_t n_panel = panel_count(n_window);
  const int64_t chunk = std::clamp<int64_t>(kChunkBytes / per_panel, 2, std::max<int64_t>(2, n_panel));
  const int64_t n_chunk = (n_panel + chunk - 1) / chunk;
  const auto matmul = kernels().matmul_shifted;
  const int64_t products = chunk * kPanel * n_in * spec.channels;
  threads_.parallel_for(
      x.rows() * n_chunk, grain_for(kGrainProducts, products), [&](int64_t begin, int64_t end) {
        Windows windows(spec, chunk);
        const auto results =
            std::make_unique_for_overwrite<float[]>(static_cast<size_t>(chunk * kPanel * spec.channels));
        for (int64_t item = begin; item < end; ++item) {
          const int64_t t = item / n_chunk, first = item % n_chunk * chunk * kPanel;
          const int64_t n = std::min(chunk * kPanel, n_window - first);
          if (item == begin || first == 0) windows.set_picture(x.row(t));
          matmul({.x = weight.row(0),
                  .x_stride = n_in,
                  .n_rows = spec.channels,
                  .w = windows.from(first),
                  .w_at = windows.at(),
                  .n_in = n_in,
                  .n_out = n,
                  .panel_begin = 0,
                  .panel_end = panel_count(n),
                  .y = direct ? out.row(t) + first : results.get(),
                  .y_stride = direct ? area : chunk * kPanel});
          if (direct) continue;
          for (int64_t o = 0; o < spec.channels; ++o)
            write_windows(results.get() + o * chunk * kPanel, first, n, per_row, out_shape.width,
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
