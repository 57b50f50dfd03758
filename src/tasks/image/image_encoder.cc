#include "tasks/image/image_encoder.h"

#include <array>
#include <cmath>

#include "text/base64.h"

namespace volant {
namespace {

constexpr int64_t kMaxSide = 4096;
constexpr int64_t kMaxFeatures = 4 << 20;
constexpr size_t kMaxImageText = 64 << 20;  // bytes of base64
constexpr int64_t kPatchesOfASide = 8;
constexpr double kClearShare = 0.99;  // of pictures that have the same background

constexpr std::array<std::string_view, 3> kBackgrounds = {"any", "dark", "light"};

bool is_size(const ImageEncoder::Size& size) {
  return size.width >= 1 && size.width <= kMaxSide && size.height >= 1 && size.height <= kMaxSide &&
         (size.channels == 1 || size.channels == 3) &&
         size.width * size.height * size.channels <= kMaxFeatures;
}

Error in_row(const TaskRow& row, Error error) { return std::move(error).at("row '" + row.id + "'"); }

// What the pictures themselves say where `size` says nothing.
Result<ImageEncoder::Size> size_of(ImageEncoder::Size size, std::span<const TaskRow> train) {
  const ImageEncoder::Size wanted = size;
  for (const TaskRow& row : train) {
    const Result<Image> image = image_of(row.input);
    if (!image) return in_row(row, image.error());
    if (wanted.channels == 0) size.channels = std::max(size.channels, image->channels);
    const bool sized = wanted.width != 0 && wanted.height != 0;
    if (sized && size.channels == 3) break;
    if (sized) continue;
    if (size.width != 0 && (size.width != image->width || size.height != image->height))
      return fail(ErrorCode::kInvalidArgument,
                  "pictures of several sizes, such as {} x {} and {} x {}: set width and height in [data]",
                  size.width, size.height, image->width, image->height);
    size.width = image->width;
    size.height = image->height;
  }
  if (!is_size(size))
    return fail(
        ErrorCode::kInvalidArgument,
        "expected pictures of 1 to {} pixels on a side, got {} x {}: set smaller width and height in [data]",
        kMaxSide, size.width, size.height);
  return size;
}

Result<std::vector<double>> numbers_of(const Json& json, std::string_view key, int64_t n, double least) {
  const Json* list = json_find(json, key);
  std::vector<double> out;
  if (list != nullptr && list->is_array())
    for (const Json& entry : list->get_array())
      if (entry.is_number()) out.push_back(entry.to_number<double>());
  for (const double x : out)
    if (!(x >= least && x <= 1)) out.clear();
  if (std::ssize(out) != n)
    return fail(ErrorCode::kParse, "expected '{}' to be {} numbers from {} to 1", key, n, least);
  return out;
}

}  // namespace

Result<Image> image_of(const Json& input) {
  constexpr std::string_view kExpected =
      "expected 'image' to be \"data:image/png;base64,...\" or \"data:image/jpeg;base64,...\"";
  if (!input.is_object()) return fail(ErrorCode::kInvalidArgument, "{}", kExpected);
  for (const auto& entry : input.get_object())
    if (entry.key() != "image")
      return fail(ErrorCode::kInvalidArgument, "unknown field '{}' of a picture, expected 'image'",
                  std::string_view(entry.key()));
  const Json* value = json_find(input, "image");
  if (value == nullptr || !value->is_string()) return fail(ErrorCode::kInvalidArgument, "{}", kExpected);
  const std::string_view text = value->get_string();
  const size_t comma = text.substr(0, 64).find(";base64,");
  if (!text.starts_with("data:image/") || comma == std::string_view::npos)
    return fail(ErrorCode::kInvalidArgument, "{}, got \"{}\"", kExpected, text.substr(0, 32));
  if (text.size() > kMaxImageText)
    return fail(ErrorCode::kLimit, "expected 'image' of at most {} bytes, got {}", kMaxImageText,
                text.size());
  const auto decode = [&]() -> Result<Image> {
    return decode_image(TRY(decode_base64(text.substr(comma + std::string_view(";base64,").size()))));
  };
  Result<Image> image = decode();
  if (!image)
    return fail(image.error().code == ErrorCode::kLimit ? ErrorCode::kLimit : ErrorCode::kInvalidArgument,
                "'image' cannot be read: {}", image.error().message);
  return image;
}

Json image_input(std::string_view bytes) {
  const char* type = bytes.starts_with("\xff\xd8") ? "jpeg" : "png";
  return JsonObject{{"image", fmt::format("data:image/{};base64,{}", type, encode_base64(bytes))}};
}

bool is_picture(const Path& file) {
  std::string ending = file.extension().string();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

Result<Json> picture_input(const Path& file) {
  constexpr uint64_t kMaxBytes = 48ULL << 20;
  return image_input(TRY(read_file(file, kMaxBytes)));
}

Result<std::unique_ptr<ImageEncoder>> ImageEncoder::learn(const Size& size, std::span<const TaskRow> train) {
  if (train.empty()) return fail(ErrorCode::kInvalidArgument, "there are no training pictures");
  std::unique_ptr<ImageEncoder> encoder(new ImageEncoder);
  encoder->size_ = TRY(size_of(size, train));
  const auto C = static_cast<size_t>(encoder->size_.channels);
  std::vector<double> sums(C), squares(C);
  size_t n_dark = 0;
  for (const TaskRow& row : train) {
    const Result<Image> image = image_of(row.input);
    if (!image) return in_row(row, image.error());
    const Planes planes = encoder->fitted(*image);
    if (border_mean(planes) < 0.5F) ++n_dark;
    for (size_t c = 0; c < C; ++c)
      for (const float x : planes.plane(static_cast<int64_t>(c))) {
        sums[c] += static_cast<double>(x);
        squares[c] += static_cast<double>(x) * static_cast<double>(x);
      }
  }
  const auto n =
      static_cast<double>(train.size()) * static_cast<double>(encoder->size_.width * encoder->size_.height);
  for (size_t c = 0; c < C; ++c) {
    const double mean = sums[c] / n;
    const double deviation = std::sqrt(std::max(0.0, squares[c] / n - mean * mean));
    encoder->means_.push_back(std::clamp(mean, 0.0, 1.0));
    encoder->deviations_.push_back(deviation < 1e-4 ? 1 : deviation);
  }
  const double dark = static_cast<double>(n_dark) / static_cast<double>(train.size());
  if (C == 1 && dark >= kClearShare) encoder->background_ = Background::kDark;
  if (C == 1 && dark <= 1 - kClearShare) encoder->background_ = Background::kLight;
  return encoder;
}

Planes ImageEncoder::fitted(const Image& image) const {
  return fit_into(to_planes(image, size_.channels), size_.height, size_.width);
}

Result<EncodedInput> ImageEncoder::encode(const Json& input) const {
  Planes planes = fitted(TRY(image_of(input)));
  if (background_ != Background::kAny && (border_mean(planes) < 0.5F) != (background_ == Background::kDark))
    for (float& x : planes.values) x = 1 - x;
  for (int64_t c = 0; c < size_.channels; ++c) {
    const auto mean_of = static_cast<float>(mean(c)), scale = static_cast<float>(1 / deviation(c));
    for (float& x : planes.plane(c)) x = (x - mean_of) * scale;
  }
  return EncodedInput{.features = std::move(planes.values)};
}

std::string ImageEncoder::origin(const Json&, int64_t i) const {
  const int64_t pixel = i % (size_.width * size_.height);
  return fmt::format("pixel {},{}", pixel % size_.width, pixel / size_.width);
}

Result<std::vector<InputPart>> ImageEncoder::parts(const Json&) const {
  const int64_t side = (std::max(size_.width, size_.height) + kPatchesOfASide - 1) / kPatchesOfASide;
  const double paper = background_ == Background::kLight ? 1 : 0;
  std::vector<InputPart> parts;
  for (int64_t top = 0; top < size_.height; top += side)
    for (int64_t left = 0; left < size_.width; left += side) {
      const int64_t right = std::min(left + side, size_.width), bottom = std::min(top + side, size_.height);
      InputPart part{.name = fmt::format("patch {},{} {}x{}", left, top, right - left, bottom - top)};
      for (int64_t c = 0; c < size_.channels; ++c)
        for (int64_t y = top; y < bottom; ++y)
          for (int64_t x = left; x < right; ++x) {
            part.at.push_back(static_cast<size_t>((c * size_.height + y) * size_.width + x));
            part.otherwise.push_back(static_cast<float>((paper - mean(c)) / deviation(c)));
          }
      parts.push_back(std::move(part));
    }
  return parts;
}

Json ImageEncoder::schema() const {
  return JsonObject{{"kind", "image"},
                    {"width", size_.width},
                    {"height", size_.height},
                    {"channels", size_.channels},
                    {"background", kBackgrounds[static_cast<size_t>(background_)]}};
}

Json ImageEncoder::to_json() const {
  return JsonObject{{"task", "image"},
                    {"version", kEncoderVersion},
                    {"width", size_.width},
                    {"height", size_.height},
                    {"channels", size_.channels},
                    {"mean", JsonArray(means_.begin(), means_.end())},
                    {"deviation", JsonArray(deviations_.begin(), deviations_.end())},
                    {"background", kBackgrounds[static_cast<size_t>(background_)]}};
}

Status ImageEncoder::save(const Path& folder) const {
  return write_file_atomic(folder / "encoder.json", dump_json_pretty(to_json()));
}

Result<std::unique_ptr<ImageEncoder>> ImageEncoder::from_json(const Json& json) {
  std::unique_ptr<ImageEncoder> encoder(new ImageEncoder);
  encoder->size_ = {.width = TRY(json_int(json, "width")),
                    .height = TRY(json_int(json, "height")),
                    .channels = TRY(json_int(json, "channels"))};
  const Size& size = encoder->size_;
  if (!is_size(size))
    return fail(ErrorCode::kParse,
                "expected pictures of 1 to {} pixels on a side in 1 or 3 channels, got {} x {} x {}",
                kMaxSide, size.width, size.height, size.channels);
  encoder->means_ = TRY(numbers_of(json, "mean", size.channels, 0));
  encoder->deviations_ = TRY(numbers_of(json, "deviation", size.channels, 1e-6));
  const std::string background = TRY(json_string_or(json, "background", "any"));
  const auto found = std::find(kBackgrounds.begin(), kBackgrounds.end(), background);
  if (found == kBackgrounds.end())
    return fail(ErrorCode::kParse, "expected 'background' any, dark or light, got '{}'", background);
  encoder->background_ = static_cast<Background>(found - kBackgrounds.begin());
  return encoder;
}

Result<std::unique_ptr<ImageEncoder>> ImageEncoder::load(const Path& folder) {
  Result<std::unique_ptr<ImageEncoder>> encoder = from_json(TRY(read_encoder_json(folder, "image")));
  if (!encoder) return std::move(encoder).error().at((folder / "encoder.json").string());
  return encoder;
}

}  // namespace volant
