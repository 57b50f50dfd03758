#include "tasks/image/planes.h"

#include <algorithm>
#include <cmath>

namespace volant {
namespace {

// What one pixel of the new line is made of.
struct Taps {
  int64_t begin = 0;
  std::vector<float> weights = {};  // sum 1
};

std::vector<Taps> taps_of(int64_t from, int64_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  const double half_width = std::max(1.0, step);
  std::vector<Taps> out(static_cast<size_t>(to));
  for (int64_t i = 0; i < to; ++i) {
    Taps& taps = out[static_cast<size_t>(i)];
    const double centre = (static_cast<double>(i) + 0.5) * step - 0.5;
    taps.begin = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - half_width)));
    const int64_t last = std::min(from - 1, static_cast<int64_t>(std::floor(centre + half_width)));
    double sum = 0;
    for (int64_t k = taps.begin; k <= last; ++k) {
      const double weight = std::max(0.0, 1 - std::abs(static_cast<double>(k) - centre) / half_width);
      taps.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : taps.weights) weight = static_cast<float>(static_cast<double>(weight) / sum);
  }
  return out;
}

}  // namespace

Planes to_planes(const Image& image, int64_t channels) {
  Planes out{.channels = channels, .height = image.height, .width = image.width};
  const int64_t n = image.height * image.width;
  out.values.resize(static_cast<size_t>(n * channels));
  const uint8_t* pixels = image.pixels.data();
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t* pixel = pixels + i * image.channels;
    const auto at = [&](int64_t c) -> float& { return out.values[static_cast<size_t>(c * n + i)]; };
    const auto value = [&](int64_t c) {
      return static_cast<float>(pixel[image.channels == 1 ? 0 : c]) / 255.0F;
    };
    if (channels == 3)
      for (int64_t c = 0; c < 3; ++c) at(c) = value(c);
    else if (image.channels == 1)
      at(0) = value(0);
    else
      at(0) = 0.299F * value(0) + 0.587F * value(1) + 0.114F * value(2);
  }
  return out;
}

Planes resize(const Planes& from, int64_t height, int64_t width) {
  if (from.height == height && from.width == width) return from;
  const std::vector<Taps> columns = taps_of(from.width, width), rows = taps_of(from.height, height);
  Planes out{.channels = from.channels, .height = height, .width = width};
  out.values.resize(static_cast<size_t>(from.channels * height * width));
  std::vector<float> narrow(static_cast<size_t>(from.height * width));  // [from.height, width]
  for (int64_t c = 0; c < from.channels; ++c) {
    const std::span<const float> source = from.plane(c);
    for (int64_t y = 0; y < from.height; ++y)
      for (int64_t x = 0; x < width; ++x) {
        const Taps& taps = columns[static_cast<size_t>(x)];
        float sum = 0;
        for (size_t k = 0; k < taps.weights.size(); ++k)
          sum += taps.weights[k] * source[static_cast<size_t>(y * from.width + taps.begin) + k];
        narrow[static_cast<size_t>(y * width + x)] = sum;
      }
    const std::span<float> target = out.plane(c);
    for (int64_t y = 0; y < height; ++y) {
      const Taps& taps = rows[static_cast<size_t>(y)];
      for (size_t k = 0; k < taps.weights.size(); ++k)
        for (int64_t x = 0; x < width; ++x)
          target[static_cast<size_t>(y * width + x)] +=
              taps.weights[k] * narrow[(static_cast<size_t>(taps.begin) + k) * static_cast<size_t>(width) +
                                       static_cast<size_t>(x)];
    }
  }
  return out;
}

Planes fit_into(const Planes& from, int64_t height, int64_t width) {
  const double scale = std::min(static_cast<double>(height) / static_cast<double>(from.height),
                                static_cast<double>(width) / static_cast<double>(from.width));
  const auto scaled = [&](int64_t side, int64_t most) {
    return std::clamp<int64_t>(std::llround(scale * static_cast<double>(side)), 1, most);
  };
  const int64_t h = scaled(from.height, height), w = scaled(from.width, width);
  Planes inner = resize(from, h, w);
  if (h == height && w == width) return inner;
  Planes out{.channels = from.channels, .height = height, .width = width};
  out.values.assign(static_cast<size_t>(from.channels * height * width), border_mean(from));
  const int64_t top = (height - h) / 2, left = (width - w) / 2;
  for (int64_t c = 0; c < from.channels; ++c)
    for (int64_t y = 0; y < h; ++y)
      std::copy_n(inner.plane(c).begin() + y * w, w, out.plane(c).begin() + (top + y) * width + left);
  return out;
}

float border_mean(const Planes& planes) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t c = 0; c < planes.channels; ++c) {
    const std::span<const float> plane = planes.plane(c);
    for (int64_t y = 0; y < planes.height; ++y) {
      const bool whole_row = y == 0 || y == planes.height - 1;
      for (int64_t x = 0; x < planes.width; x += whole_row ? 1 : std::max<int64_t>(1, planes.width - 1)) {
        sum += static_cast<double>(plane[static_cast<size_t>(y * planes.width + x)]);
        ++n;
      }
    }
  }
  return static_cast<float>(sum / static_cast<double>(n));
}

}  // namespace volant
