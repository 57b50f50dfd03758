// Settings of "classify" and "embed" (train/objectives/classify.h, embed.h).
#pragma once
#include <cstdint>
#include <string>

#include "base/json.h"
#include "train/class_weights.h"

namespace volant {

struct ClassifyJob {
  ClassWeights class_weights;
};
Result<ClassifyJob> parse_classify_job(const Json& json);

struct EmbedJob {
  int64_t batch_size = 64;  // pairs of a step: each is the negative of the others
  double temperature = 0.05;
  std::string pooling;  // mean | cls | last; empty: see pooling_of() in train/objectives/embed.h
};
Result<EmbedJob> parse_embed_job(const Json& json);

}  // namespace volant
