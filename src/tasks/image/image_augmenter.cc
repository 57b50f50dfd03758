#include "tasks/image/image_augmenter.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tasks/settings.h"

namespace volant {
namespace {

double between(Random& random, double low, double high) { return low + (high - low) * random.uniform(); }

// The value at (x, y), which may lie between pixels or outside.
float sample(std::span<const float> plane, int64_t width, int64_t height, float x, float y) {
  x = std::clamp(x, 0.0F, static_cast<float>(width - 1));
  y = std::clamp(y, 0.0F, static_cast<float>(height - 1));
  const auto left = static_cast<int64_t>(x), top = static_cast<int64_t>(y);
  const int64_t right = std::min(left + 1, width - 1), bottom = std::min(top + 1, height - 1);
  const float u = x - static_cast<float>(left), v = y - static_cast<float>(top);
  const auto at = [&](int64_t row, int64_t column) {
    return plane[static_cast<size_t>(row * width + column)];
  };
  const float above = at(top, left) * (1 - u) + at(top, right) * u;
  const float below = at(bottom, left) * (1 - u) + at(bottom, right) * u;
  return above * (1 - v) + below * v;
}

}  // namespace

ImageAugmenter::ImageAugmenter(const ImageEncoder& encoder, const ImageAugmentation& how)
    : size_(encoder.size()), how_(how) {
  for (int64_t c = 0; c < size_.channels; ++c)
    noise_.push_back(static_cast<float>(how_.noise / encoder.deviation(c)));
  if (how_.elastic == 0) return;
  const auto radius = static_cast<int64_t>(std::ceil(3 * how_.elastic_sigma));
  double sum = 0, squares = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    const double x = static_cast<double>(i) / how_.elastic_sigma;
    kernel_.push_back(static_cast<float>(std::exp(-x * x / 2)));
    sum += static_cast<double>(kernel_.back());
  }
  for (float& weight : kernel_) {
    weight = static_cast<float>(static_cast<double>(weight) / sum);
    squares += static_cast<double>(weight) * static_cast<double>(weight);
  }
  // Uniform numbers in (-1, 1) have variance 1/3; smoothing along both axes leaves `squares` of it each time.
  const double deviation = std::sqrt(1.0 / 3) * squares;
  const auto scale = static_cast<float>(std::sqrt(how_.elastic / deviation));
  for (float& weight : kernel_) weight *= scale;  // it is applied twice
}

void ImageAugmenter::smooth(std::vector<float>& field) const {
  const auto radius = static_cast<int64_t>(kernel_.size() / 2);
  std::vector<float> rows(field.size());
  const auto pass = [&](const std::vector<float>& from, std::vector<float>& to, int64_t step, int64_t along,
                        int64_t across_step, int64_t across) {
    for (int64_t line = 0; line < across; ++line)
      for (int64_t i = 0; i < along; ++i) {
        float sum = 0;
        const int64_t first = std::max<int64_t>(-radius, -i), last = std::min(radius, along - 1 - i);
        for (int64_t k = first; k <= last; ++k)
          sum += kernel_[static_cast<size_t>(k + radius)] *
                 from[static_cast<size_t>(line * across_step + (i + k) * step)];
        to[static_cast<size_t>(line * across_step + i * step)] = sum;
      }
  };
  pass(field, rows, 1, size_.width, size_.width, size_.height);
  pass(rows, field, size_.width, size_.height, 1, size_.width);
}

std::vector<float> ImageAugmenter::displacement(Random& random) const {
  std::vector<float> field(static_cast<size_t>(size_.width * size_.height));
  for (float& x : field) x = static_cast<float>(2 * random.uniform() - 1);
  smooth(field);
  return field;
}

EncodedInput ImageAugmenter::operator()(const Json&, const EncodedInput& encoded, Random& random) const {
  const int64_t W = size_.width, H = size_.height;
  const double angle = between(random, -how_.rotate, how_.rotate) * std::numbers::pi / 180;
  const double log_scale = std::log1p(how_.scale);
  const double shrink = std::exp(-between(random, -log_scale, log_scale));
  const double shift_x = between(random, -how_.shift, how_.shift);
  const double shift_y = between(random, -how_.shift, how_.shift);
  const bool flip = how_.flip && random.below(2) == 1;
  std::vector<float> bend_x, bend_y;
  if (how_.elastic > 0) {
    bend_x = displacement(random);
    bend_y = displacement(random);
  }
  const double cos = std::cos(angle) * shrink, sin = std::sin(angle) * shrink;
  const double middle_x = static_cast<double>(W - 1) / 2, middle_y = static_cast<double>(H - 1) / 2;
  EncodedInput out{.features = std::vector<float>(encoded.features.size())};
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      const auto pixel = static_cast<size_t>(y * W + x);
      const double dx = static_cast<double>(flip ? W - 1 - x : x) - middle_x - shift_x;
      const double dy = static_cast<double>(y) - middle_y - shift_y;
      auto from_x = static_cast<float>(cos * dx + sin * dy + middle_x);
      auto from_y = static_cast<float>(cos * dy - sin * dx + middle_y);
      if (!bend_x.empty()) {
        from_x += bend_x[pixel];
        from_y += bend_y[pixel];
      }
      for (int64_t c = 0; c < size_.channels; ++c) {
        const std::span<const float> plane(encoded.features.data() + c * W * H, static_cast<size_t>(W * H));
        out.features[static_cast<size_t>(c * W * H) + pixel] = sample(plane, W, H, from_x, from_y);
      }
    }
  if (how_.noise > 0)
    for (size_t i = 0; i < out.features.size(); ++i)
      out.features[i] += noise_[i / static_cast<size_t>(W * H)] * static_cast<float>(random.normal());
  return out;
}

Result<std::unique_ptr<Augmenter>> ImageAugmenter::make(const Json& augment, const InputEncoder& encoder) {
  const auto* images = dynamic_cast<const ImageEncoder*>(&encoder);
  if (images == nullptr) return fail(ErrorCode::kInternal, "expected the encoder of images");
  Settings settings(augment, "train.augment");
  ImageAugmentation how;
  how.shift = settings.number("shift", 0, 0, 1024);
  how.rotate = settings.number("rotate", 0, 0, 180);
  how.scale = settings.number("scale", 0, 0, 4);
  how.elastic = settings.number("elastic", 0, 0, 64);
  how.elastic_sigma = settings.number("elastic_sigma", how.elastic_sigma, 0.5, 64);
  how.noise = settings.number("noise", 0, 0, 1);
  how.flip = settings.flag("flip", false);
  TRY(settings.finish());
  return std::unique_ptr<Augmenter>(std::make_unique<ImageAugmenter>(*images, how));
}

}  // namespace volant
