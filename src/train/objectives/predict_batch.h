// Rows of PredictRows as batches for a model, as they are or changed at random for training.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "train/objectives/predict_rows.h"
#include "train/objectives/text_batch.h"

namespace volant {

// One pass: rows of numbers, or texts. Used again and again, so that it keeps its memory.
struct PredictBatch {
  std::vector<float> features;  // [R, columns]
  int64_t columns = 0;
  TextBatch text;
  std::vector<int32_t> out_rows;
  std::vector<int32_t> labels;
  std::vector<double> numbers, weights;

  Batch view() const;
  Batch first(size_t n) const;  // of the first n rows
  LossTargets targets() const { return {labels, numbers, weights}; }
  int64_t n_tokens = 0;  // that the model reads, without padding
};

// How examples are changed: by the task's augmenter, then by normal noise on numbers.
struct Changes {
  const Augmenter* augmenter = nullptr;
  double noise = 0;
  uint64_t seed = 0;
  bool any() const { return augmenter != nullptr || noise > 0; }
};

class PredictBatches {
 public:
  // `max_tokens`: of a pass over texts. All must live as long as this.
  PredictBatches(const PredictRows& rows, RowsRead read, int64_t max_tokens, ThreadPool& pool)
      : rows_(rows), read_(read), max_tokens_(max_tokens), pool_(pool) {}

  // How many of `rows`, from the first on, go into one pass: of texts as many as have max_tokens, one at
  // least; of numbers `most`.
  size_t n_in_one(std::span<const uint32_t> rows, size_t most) const;
  // The rows as they are.
  void fill(std::span<const uint32_t> rows, PredictBatch& batch) const;
  // The rows changed, each by seed, epoch and row alone.
  void fill(std::span<const uint32_t> rows, const Changes& changes, uint64_t epoch,
            PredictBatch& batch) const;

 private:
  void fill_targets(std::span<const uint32_t> rows, PredictBatch& batch) const;
  EncodedInput changed(uint32_t row, const Changes& changes, uint64_t epoch) const;
  void add_text(const EncodedInput& input, PredictBatch& batch) const;
  void finish(PredictBatch& batch) const;

  const PredictRows& rows_;
  RowsRead read_;
  int64_t max_tokens_;
  ThreadPool& pool_;
};

}  // namespace volant
