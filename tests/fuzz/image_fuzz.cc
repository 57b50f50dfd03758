// PNG and JPEG, by what the bytes begin with.
#include "fuzz/fuzz_input.h"
#include "io/image.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Image> image = decode_image(fuzz::text_of(data, size), 1 << 20);
  if (!image) return 0;
  const Result<std::string> png = encode_png(*image);
  fuzz::require(png.has_value(), "what is read can be written");
  const Result<Image> again = decode_image(*png);
  fuzz::require(again && again->pixels == image->pixels, "a PNG loses nothing");
  return 0;
}
