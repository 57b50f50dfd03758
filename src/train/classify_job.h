// Settings of "classify" and "embed" (train/objectives/classify.h, embed.h).
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "base/json.h"

namespace volant {

struct ClassifyJob {
  bool balanced = false;  // "class_weights": "balanced", so that each class counts alike
  std::map<std::string, double> class_weights;  // by label; a label that is not named counts 1
};
Result<ClassifyJob> parse_classify_job(const Json& json);

struct EmbedJob {
  int64_t batch_size = 64;  // pairs of a step: each is the negative of the others
  double temperature = 0.05;
  std::string pooling = "mean";  // mean | cls | last
};
Result<EmbedJob> parse_embed_job(const Json& json);

}  // namespace volant
