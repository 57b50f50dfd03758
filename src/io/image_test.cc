#include "io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

Image smooth(int64_t width, int64_t height, int64_t channels) {
  Image image{.width = width, .height = height, .channels = channels};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(
            static_cast<uint8_t>(std::lround(100 + 60 * std::sin(0.1 * double(x + 2 * y)) + 20 * double(c))));
  return image;
}

TEST(Image, PngGivesBackEveryPixel) {
  for (const auto& [width, height, channels] :
       {std::array<int64_t, 3>{28, 28, 1}, {1, 1, 3}, {37, 5, 3}, {5, 300, 1}}) {
    const Image image = smooth(width, height, channels);
    const Image again = decode_image(encode_png(image).value()).value();
    EXPECT_EQ(again.width, width);
    EXPECT_EQ(again.height, height);
    EXPECT_EQ(again.channels, channels);
    EXPECT_EQ(again.pixels, image.pixels);
  }
}

TEST(Image, JpegGivesBackNearlyThePixels) {
  for (const int64_t channels : {1, 3}) {
    const Image image = smooth(40, 24, channels);
    const Image again = decode_image(encode_jpeg(image, 95).value()).value();
    ASSERT_EQ(again.channels, channels);
    ASSERT_EQ(again.pixels.size(), image.pixels.size());
    for (size_t i = 0; i < image.pixels.size(); ++i) EXPECT_NEAR(again.pixels[i], image.pixels[i], 8);
  }
}

TEST(Image, WhatIsTransparentLiesOnWhite) {
  // 1 x 1, RGBA (0, 0, 0, 0), made by Python's zlib and struct.
  const std::string bytes(
      "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\x0bIDATx\x9c"
      "c`\0\x02\0\0\x05\0\x01z^\xab?\0\0\0\0IEND\xae"
      "B`\x82",
      68);
  const Result<Image> image = decode_image(bytes);
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->channels, 3);
  EXPECT_EQ(image->pixels, (std::vector<uint8_t>{255, 255, 255}));
}

TEST(Image, AFileThatIsCutOffIsAnError) {
  const Image image = smooth(40, 24, 3);
  for (const std::string& good : {encode_png(image).value(), encode_jpeg(image).value()}) {
    // The end mark of a JPEG and the last chunk of a PNG hold no pixels.
    for (size_t n = 0; n + 20 < good.size(); n += 7) {
      const Result<Image> cut = decode_image(std::string_view(good).substr(0, n));
      ASSERT_FALSE(cut) << n << " of " << good.size();
      EXPECT_EQ(cut.error().code, ErrorCode::kParse);
    }
  }
}

TEST(Image, WhatIsNoPartOfThePictureIsPassedOver) {
  const Image image = smooth(4, 4, 1);
  const std::string good = encode_png(image).value();
  const size_t header_end = 8 + 12 + 13;
  const std::string text("\0\0\0\3tEXtabc????", 15);  // a wrong checksum, which nobody looks at
  const Result<Image> decoded = decode_image(good.substr(0, header_end) + text + good.substr(header_end));
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  EXPECT_EQ(decoded->pixels, image.pixels);
  // A gibibyte of text that is not there.
  const std::string claim("\x40\0\0\3tEXtabc????", 15);
  const Result<Image> refused = decode_image(good.substr(0, header_end) + claim + good.substr(header_end));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kParse);
}

TEST(Image, ChangedBytesNeverCrash) {
  Random random(1);
  const Image image = smooth(20, 20, 3);
  for (const std::string& good : {encode_png(image).value(), encode_jpeg(image).value()})
    for (int i = 0; i < 500; ++i) {
      std::string bad = good;
      for (int k = 0; k < 3; ++k) bad[random.below(bad.size())] = static_cast<char>(random.below(256));
      const Result<Image> decoded = decode_image(bad, 1'000'000);
      if (decoded) {
        EXPECT_EQ(std::ssize(decoded->pixels), decoded->width * decoded->height * decoded->channels);
      }
    }
}

TEST(Image, TooManyPixelsAreRefusedBeforeTheyAreRead) {
  for (const std::string& good :
       {encode_png(smooth(50, 50, 1)).value(), encode_jpeg(smooth(50, 50, 1)).value()}) {
    EXPECT_TRUE(decode_image(good, 2500));
    const Result<Image> refused = decode_image(good, 2499);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
    EXPECT_THAT(refused.error().message, HasSubstr("50 x 50"));
  }
}

TEST(Image, WhatCannotBeWrittenIsRefused) {
  Image image = smooth(4, 4, 3);
  image.pixels.pop_back();
  EXPECT_EQ(encode_png(image).error().code, ErrorCode::kInvalidArgument);
  image = smooth(4, 4, 3);
  image.channels = 2;
  EXPECT_FALSE(encode_jpeg(image));
  EXPECT_FALSE(encode_jpeg(smooth(4, 4, 1), 0));
  EXPECT_FALSE(encode_png({}));
  EXPECT_THAT(decode_image("GIF89a").error().message, HasSubstr("expected a PNG or JPEG"));
}

}  // namespace
}  // namespace volant
