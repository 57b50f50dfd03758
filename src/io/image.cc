// libpng's simplified interface and TurboJPEG both give errors as values: nothing here jumps.
#include "io/image.h"

#include <png.h>
#include <turbojpeg.h>

#include <memory>

namespace volant {
namespace {

constexpr std::string_view kPngMagic("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kJpegMagic("\xff\xd8\xff", 3);

Status check_size(int64_t width, int64_t height, int64_t max_pixels) {
  if (width < 1 || height < 1)
    return fail(ErrorCode::kParse, "the image has no pixels: {} x {}", width, height);
  if (width > kMaxImageSide || height > kMaxImageSide || width * height > max_pixels)
    return fail(ErrorCode::kLimit, "expected an image of at most {} pixels and {} on a side, got {} x {}",
                max_pixels, kMaxImageSide, width, height);
  return {};
}

// Frees what libpng holds of an image, whatever way the function is left.
struct PngImage : png_image {
  PngImage() : png_image{} { version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

// The chunks that hold the picture. All others are dropped: libpng would allocate whatever length a text or a
// colour profile claims or decompresses to.
Result<std::string> picture_chunks(std::string_view bytes) {
  constexpr size_t kAround = 12;  // length, type and checksum of a chunk
  std::string out(kPngMagic);
  for (size_t at = kPngMagic.size(); bytes.size() - at >= kAround;) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(bytes[at + i]);
    if (length > bytes.size() - at - kAround) break;
    const std::string_view type = bytes.substr(at + 4, 4);
    if (type == "IHDR" || type == "PLTE" || type == "tRNS" || type == "IDAT" || type == "IEND")
      out += bytes.substr(at, kAround + length);
    if (type == "IEND") return out;
    at += kAround + length;
  }
  return fail(ErrorCode::kParse, "the PNG is broken: it ends within a chunk or has no end");
}

Result<Image> decode_png(std::string_view file, int64_t max_pixels) {
  const std::string bytes = TRY(picture_chunks(file));
  PngImage png;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0)
    return fail(ErrorCode::kParse, "the PNG is broken: {}", png.message);
  TRY(check_size(png.width, png.height, max_pixels));
  Image image{.width = png.width, .height = png.height};
  image.channels = (png.format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1;
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.pixels.resize(static_cast<size_t>(image.width * image.height * image.channels));
  const png_color white{255, 255, 255};
  if (png_image_finish_read(&png, &white, image.pixels.data(), 0, nullptr) == 0)
    return fail(ErrorCode::kParse, "the PNG is broken: {}", png.message);
  return image;
}

struct CloseJpeg {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using JpegHandle = std::unique_ptr<void, CloseJpeg>;

Error broken_jpeg(const JpegHandle& handle) {
  return fail(ErrorCode::kParse, "the JPEG is broken: {}", tjGetErrorStr2(handle.get()));
}

Result<Image> decode_jpeg(std::string_view bytes, int64_t max_pixels) {
  const JpegHandle handle(tjInitDecompress());
  if (!handle) return fail(ErrorCode::kInternal, "TurboJPEG could not start");
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  int width = 0, height = 0, sampling = 0, colours = 0;
  if (tjDecompressHeader3(handle.get(), data, size, &width, &height, &sampling, &colours) != 0)
    return broken_jpeg(handle);
  TRY(check_size(width, height, max_pixels));
  if (colours == TJCS_CMYK || colours == TJCS_YCCK)
    return fail(ErrorCode::kUnsupported, "a JPEG in CMYK; save it as RGB");
  Image image{.width = width, .height = height, .channels = colours == TJCS_GRAY ? 1 : 3};
  image.pixels.resize(static_cast<size_t>(image.width * image.height * image.channels));
  // A warning is an error too: the file ends too early or its data makes no sense. Without the limit on
  // scans a small file can ask for hours of work.
  const int flags = TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS;
  if (tjDecompress2(handle.get(), data, size, image.pixels.data(), width, 0, height,
                    image.channels == 1 ? TJPF_GRAY : TJPF_RGB, flags) != 0)
    return broken_jpeg(handle);
  return image;
}

Status check_pixels(const Image& image) {
  TRY(check_size(image.width, image.height, kMaxImagePixels));
  if (image.channels != 1 && image.channels != 3)
    return fail(ErrorCode::kInvalidArgument, "expected 1 or 3 channels, got {}", image.channels);
  const int64_t wanted = image.width * image.height * image.channels;
  if (std::ssize(image.pixels) != wanted)
    return fail(ErrorCode::kInvalidArgument, "expected {} bytes of pixels, got {}", wanted,
                image.pixels.size());
  return {};
}

}  // namespace

Result<Image> decode_image(std::string_view bytes, int64_t max_pixels) {
  if (bytes.starts_with(kPngMagic)) return decode_png(bytes, max_pixels);
  if (bytes.starts_with(kJpegMagic)) return decode_jpeg(bytes, max_pixels);
  return fail(ErrorCode::kParse, "expected a PNG or JPEG, got {} bytes of something else", bytes.size());
}

Result<std::string> encode_png(const Image& image) {
  TRY(check_pixels(image));
  PngImage png;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) == 0)
    return fail(ErrorCode::kInternal, "libpng could not write: {}", png.message);
  bytes.resize(size);
  return bytes;
}

Result<std::string> encode_jpeg(const Image& image, int quality) {
  TRY(check_pixels(image));
  if (quality < 1 || quality > 100)
    return fail(ErrorCode::kInvalidArgument, "expected a quality from 1 to 100, got {}", quality);
  const JpegHandle handle(tjInitCompress());
  if (!handle) return fail(ErrorCode::kInternal, "TurboJPEG could not start");
  unsigned char* made = nullptr;
  unsigned long size = 0;
  const bool grey = image.channels == 1;
  const int code = tjCompress2(handle.get(), image.pixels.data(), static_cast<int>(image.width), 0,
                               static_cast<int>(image.height), grey ? TJPF_GRAY : TJPF_RGB, &made, &size,
                               grey ? TJSAMP_GRAY : TJSAMP_420, quality, 0);
  const std::unique_ptr<unsigned char, decltype(&tjFree)> owned(made, tjFree);
  if (code != 0)
    return fail(ErrorCode::kInternal, "TurboJPEG could not write: {}", tjGetErrorStr2(handle.get()));
  return std::string(reinterpret_cast<const char*>(made), size);
}

}  // namespace volant
