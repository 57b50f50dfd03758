// Rows of a task (tasks/task.h) as the objective "predict" learns from them: encoded once, with the numbers
// of their labels or their targets in the unit of the model's outputs.
#pragma once
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "models/model_config.h"
#include "tasks/problem.h"
#include "tasks/task.h"
#include "train/losses.h"

namespace volant {

struct PredictRows {
  int64_t columns = 0;              // F of rows of numbers; 0: rows of token ids
  std::vector<float> features;      // [n, F]
  std::vector<EncodedInput> texts;  // n of token ids, none empty
  std::vector<int32_t> labels;      // n of classes and of two
  std::vector<double> numbers;      // n of numbers: (target - mean) / deviation
  std::vector<double> weights;      // n
  std::vector<Json> inputs;         // n when they were asked for, else the first few

  size_t size() const { return weights.size(); }
  std::span<const float> features_of(size_t row) const {
    return std::span(features).subspan(row * static_cast<size_t>(columns), static_cast<size_t>(columns));
  }
  // As the encoder gave it.
  EncodedInput encoded(size_t row) const;
  // The tokens of a row that the model reads, or 1.
  int64_t n_tokens(size_t row) const {
    return columns > 0 ? 1 : static_cast<int64_t>(texts[row].tokens.size());
  }
};

inline constexpr size_t kShownRows = 4;  // inputs that are kept in any case

// Errors name file and line: kInvalidArgument for a label that the model has not, an input that its encoder
// refuses, more tokens than the model has positions; kParse for a row without label or target. No rows are no
// error.
Result<PredictRows> read_predict_rows(const Path& file, const InputEncoder& encoder,
                                      const ModelConfig& config, bool keep_inputs, ThreadPool& pool);

// What the rows of a file are about.
struct RowSummary {
  std::vector<std::string> labels;  // that occur, in order; empty of numbers
  TargetScale targets;
};
// kInvalidArgument when there is no row, or a row without label or target, or both kinds.
Result<RowSummary> summarise_rows(const Path& file);

}  // namespace volant
