// PNG (libpng) and JPEG (libturbojpeg) in memory. Eight bits a channel; grey or RGB. No colour management, no
// animation, no metadata (a photograph's orientation is not applied).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

struct Image {
  int64_t width = 0, height = 0, channels = 0;  // 1: grey, 3: RGB
  std::vector<uint8_t> pixels = {};             // [height, width, channels]
};

inline constexpr int64_t kMaxImagePixels = 40'000'000;
inline constexpr int64_t kMaxImageSide = 32'768;

// Grey files give one channel, all others RGB; 16 bits become 8; what is transparent lies on white. kParse
// for bytes that are no whole PNG or JPEG, kLimit above `max_pixels`.
Result<Image> decode_image(std::string_view bytes, int64_t max_pixels = kMaxImagePixels);

// kInvalidArgument when the pixels are not as many as the sizes say.
Result<std::string> encode_png(const Image& image);
// `quality` 1 to 100.
Result<std::string> encode_jpeg(const Image& image, int quality = 90);

}  // namespace volant
