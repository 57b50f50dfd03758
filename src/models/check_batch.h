// What a batch must hold before a model may compute it: ids, positions and rows in range.
#pragma once
#include "models/model_config.h"
#include "ops/batch.h"

namespace volant {

// kInvalidArgument when one is below 0 or not below n.
Status check_ids(std::span<const int32_t> ids, int64_t n, const char* what);
// For a pass without cache.
Status check_batch(const ModelConfig& config, const Batch& batch);

}  // namespace volant
