// Pictures among activations: a row is one picture [channels, height, width], channel after channel. What the
// operations on them must know; windows reach over no border but that of `padding` zeros.
#pragma once
#include <cstdint>

namespace volant {

struct PictureShape {
  int64_t channels = 1, height = 1, width = 1;
  int64_t columns() const { return channels * height * width; }
  bool operator==(const PictureShape&) const = default;
};

// Positions of a window along one axis; below 1 where it does not fit.
constexpr int64_t window_positions(int64_t size, int64_t window, int64_t stride, int64_t padding) {
  return size + 2 * padding < window ? 0 : (size + 2 * padding - window) / stride + 1;
}

// y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] * x[c, i * stride + u - padding, j * stride + v -
// padding].
struct ConvSpec {
  PictureShape in;
  int64_t channels = 0;  // of the result
  int64_t kernel = 1, stride = 1, padding = 0;

  PictureShape out() const {
    return {channels, window_positions(in.height, kernel, stride, padding),
            window_positions(in.width, kernel, stride, padding)};
  }
  int64_t n_in() const { return in.channels * kernel * kernel; }  // columns of the weight
};

// The largest or the mean number of each window of a channel; what does not fill a window is left out.
struct PoolSpec {
  enum class Kind { kMax, kAverage };
  Kind kind = Kind::kMax;
  PictureShape in;
  int64_t size_y = 1, size_x = 1, stride = 1;

  PictureShape out() const {
    return {in.channels, window_positions(in.height, size_y, stride, 0),
            window_positions(in.width, size_x, stride, 0)};
  }
};

// Normalisation over a batch (Ioffe and Szegedy 2015), for each channel; a row of plain numbers is a picture
// of one point with as many channels.
template <class Weight>
struct BatchNorm {
  const Weight *scale = nullptr, *shift = nullptr;    // [channels]
  const Weight *mean = nullptr, *variance = nullptr;  // [channels], statistics of the rows trained on
  PictureShape shape;
  float eps = 1e-5F;
  float momentum = 0.1F;  // statistic = (1 - momentum) * statistic + momentum * that of the batch
};

}  // namespace volant
