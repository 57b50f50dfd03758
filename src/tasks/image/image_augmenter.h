// Pictures changed at random for training: moved, turned, scaled, bent, mirrored, with noise. The pixels are
// read once, bilinearly, at the place that all changes together say; beyond the border stands the nearest
// pixel.
#pragma once
#include "tasks/image/image_encoder.h"

namespace volant {

struct ImageAugmentation {
  double shift = 0;   // pixels at most, each way
  double rotate = 0;  // degrees at most, both ways
  double scale = 0;   // 0.1: by a factor from 1 / 1.1 to 1.1
  // Elastic bending (Simard, Steinkraus and Platt 2003): a field of uniform random displacements, smoothed by
  // a Gaussian. Here `elastic` is the deviation of the smoothed displacement in pixels (their alpha 34 with
  // sigma 4 is 1.4), `elastic_sigma` that of the Gaussian.
  double elastic = 0, elastic_sigma = 4;
  double noise = 0;   // deviation, of pixels from 0 to 1
  bool flip = false;  // left and right change sides half of the time
};

class ImageAugmenter : public Augmenter {
 public:
  ImageAugmenter(const ImageEncoder& encoder, const ImageAugmentation& how);
  // kInvalidArgument names what it does not know.
  static Result<std::unique_ptr<Augmenter>> make(const Json& augment, const InputEncoder& encoder);
  EncodedInput operator()(const Json& input, const EncodedInput& encoded, Random& random) const override;

 private:
  // One displacement for each pixel, [height * width], in pixels.
  std::vector<float> displacement(Random& random) const;
  void smooth(std::vector<float>& field) const;

  ImageEncoder::Size size_;
  ImageAugmentation how_;
  std::vector<float> noise_;   // deviation for each channel, in the unit of the features
  std::vector<float> kernel_;  // of the Gaussian, [2 * radius + 1]
};

}  // namespace volant
