// A picture as numbers: planes of channels, each pixel from 0 (black) to 1.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "io/image.h"

namespace volant {

struct Planes {
  int64_t channels = 0, height = 0, width = 0;
  std::vector<float> values = {};  // [channels, height, width]
  std::span<float> plane(int64_t c) {
    return {values.data() + c * height * width, static_cast<size_t>(height * width)};
  }
  std::span<const float> plane(int64_t c) const {
    return {values.data() + c * height * width, static_cast<size_t>(height * width)};
  }
};

// In 1 channel (grey by ITU-R BT.601) or 3.
Planes to_planes(const Image& image, int64_t channels);
// Every pixel is the mean of what it covers, weighted as a triangle whose half width is one pixel of the
// coarser picture: an area average when the picture shrinks, bilinear when it grows.
Planes resize(const Planes& from, int64_t height, int64_t width);
// The whole picture in its own proportions, in the middle; what is left over has the mean of its border.
Planes fit_into(const Planes& from, int64_t height, int64_t width);
// Mean of the pixels at the four sides.
float border_mean(const Planes& planes);

}  // namespace volant
