// Encoded inputs flat, as a pass wants them.
#pragma once
#include <cstdint>
#include <vector>

#include "models/model_config.h"
#include "ops/batch.h"
#include "tasks/task.h"

namespace volant {

struct InputBatch {
  std::vector<int32_t> tokens = {}, types = {}, pos = {}, begins = {0}, rows = {};
  std::vector<float> features = {};
  int64_t n_columns = 0;

  void add(const EncodedInput& input, RowsRead read, bool typed) {
    const auto begin = static_cast<int32_t>(pos.size());
    const auto n = static_cast<int32_t>(input.features.empty() ? std::ssize(input.tokens) : 1);
    features.insert(features.end(), input.features.begin(), input.features.end());
    n_columns = std::ssize(input.features);
    tokens.insert(tokens.end(), input.tokens.begin(), input.tokens.end());
    if (typed) {
      types.insert(types.end(), input.types.begin(), input.types.end());
      types.resize(tokens.size());
    }
    for (int32_t i = 0; i < n; ++i) pos.push_back(i);
    begins.push_back(begin + n);
    rows.push_back(read == RowsRead::kFirst ? begin : begin + n - 1);
  }
  Batch view() const {
    return {.tokens = tokens,
            .pos = pos,
            .seq_begin = begins,
            .kv_slot = {},
            .out_rows = rows,
            .token_types = types,
            .features = features,
            .feature_columns = n_columns};
  }
};

}  // namespace volant
