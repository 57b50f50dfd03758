// Pictures to numbers: decoded, fitted into the model's size in their own proportions, each channel less its
// mean and divided by its deviation over the training pictures.
//
// Grey pictures whose training set is drawn light on dark (99 of 100 have a dark border) are turned round
// when they come dark on light, as a photograph of a digit on paper does; and the other way about.
#pragma once
#include "tasks/image/planes.h"
#include "tasks/task.h"

namespace volant {

class ImageEncoder : public InputEncoder {
 public:
  enum class Background { kAny, kDark, kLight };
  // What is asked for; 0: as the pictures are.
  struct Size {
    int64_t width = 0, height = 0, channels = 0;
  };

  // kInvalidArgument for no rows, or pictures of several sizes when `size` says none.
  static Result<std::unique_ptr<ImageEncoder>> learn(const Size& size, std::span<const TaskRow> train);
  static Result<std::unique_ptr<ImageEncoder>> load(const Path& folder);
  static Result<std::unique_ptr<ImageEncoder>> from_json(const Json& json);

  Result<EncodedInput> encode(const Json& input) const override;
  int64_t n_features() const override { return size_.width * size_.height * size_.channels; }
  int64_t n_vocab() const override { return 0; }
  std::vector<int64_t> shape() const override { return {size_.channels, size_.height, size_.width}; }
  std::string origin(const Json& input, int64_t i) const override;  // "pixel x,y"
  // A grid of square patches, at most 8 on a side.
  Result<std::vector<InputPart>> parts(const Json& input) const override;
  Json schema() const override;
  Status save(const Path& folder) const override;
  Json to_json() const;

  const Size& size() const { return size_; }
  // Of a channel's pixels, 0 to 1.
  double mean(int64_t channel) const { return means_[static_cast<size_t>(channel)]; }
  double deviation(int64_t channel) const { return deviations_[static_cast<size_t>(channel)]; }
  Background background() const { return background_; }

 private:
  ImageEncoder() = default;
  Planes fitted(const Image& image) const;

  Size size_;
  std::vector<double> means_, deviations_;
  Background background_ = Background::kAny;
};

// {"image": "data:image/png;base64,..."} and back.
Result<Image> image_of(const Json& input);
// `bytes` of a PNG or JPEG file as they are.
Json image_input(std::string_view bytes);
// Whether its name is that of a picture (.png, .jpg, .jpeg, in small or large letters), and what it holds as
// input.
bool is_picture(const Path& file);
Result<Json> picture_input(const Path& file);

}  // namespace volant
