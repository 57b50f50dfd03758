#include "train/objectives/predict_batch.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace volant {
namespace {

constexpr uint64_t kChangesSalt = 0xA5A5F00DULL;

}  // namespace

Batch PredictBatch::view() const {
  if (columns == 0) return text.view();
  Batch batch{.tokens = {}, .pos = {}, .seq_begin = {}, .kv_slot = {}, .out_rows = out_rows};
  batch.features = features;
  batch.feature_columns = columns;
  return batch;
}

Batch PredictBatch::first(size_t n) const {
  Batch some = view();
  some.out_rows = some.out_rows.first(n);
  some.features = some.features.first(n * static_cast<size_t>(columns));
  if (columns > 0) return some;
  const auto rows = static_cast<size_t>(some.seq_begin[n]);
  some.seq_begin = some.seq_begin.first(n + 1);
  some.tokens = some.tokens.first(rows);
  some.pos = some.pos.first(rows);
  if (!some.token_types.empty()) some.token_types = some.token_types.first(rows);
  return some;
}

size_t PredictBatches::n_in_one(std::span<const uint32_t> rows, size_t most) const {
  if (rows_.columns > 0) return std::min(rows.size(), most);
  size_t n = 0;
  for (int64_t tokens = 0; n < rows.size(); ++n) {
    tokens += rows_.n_tokens(rows[n]);
    if (n > 0 && tokens > max_tokens_) break;
  }
  return n;
}

void PredictBatches::fill_targets(std::span<const uint32_t> rows, PredictBatch& batch) const {
  const auto take = [&](const auto& from, auto& to) {
    to.clear();
    if (from.empty()) return;
    for (const uint32_t row : rows) to.push_back(from[row]);
  };
  take(rows_.labels, batch.labels);
  take(rows_.numbers, batch.numbers);
  take(rows_.weights, batch.weights);
  batch.columns = rows_.columns;
  batch.features.resize(rows.size() * static_cast<size_t>(rows_.columns));
  batch.text = {};
}

void PredictBatches::finish(PredictBatch& batch) const {
  const size_t n = batch.weights.size();
  if (rows_.columns > 0) {
    batch.out_rows.resize(n);
    std::iota(batch.out_rows.begin(), batch.out_rows.end(), 0);
    batch.n_tokens = static_cast<int64_t>(n);
  } else {
    batch.n_tokens = batch.text.n_rows();
    batch.text.pad();
  }
}

void PredictBatches::add_text(const EncodedInput& input, PredictBatch& batch) const {
  const int32_t row = read_ == RowsRead::kLast ? static_cast<int32_t>(input.tokens.size()) - 1 : 0;
  batch.text.add(input.tokens, input.types, std::span(&row, 1));
}

void PredictBatches::fill(std::span<const uint32_t> rows, PredictBatch& batch) const {
  fill_targets(rows, batch);
  float* to = batch.features.data();
  for (const uint32_t row : rows) {
    if (rows_.columns > 0) {
      const std::span<const float> from = rows_.features_of(row);
      std::memcpy(to, from.data(), from.size_bytes());
      to += from.size();
    } else {
      add_text(rows_.texts[row], batch);
    }
  }
  finish(batch);
}

EncodedInput PredictBatches::changed(uint32_t row, const Changes& changes, uint64_t epoch) const {
  Random random((changes.seed + kChangesSalt) * 0x9E3779B97F4A7C15ULL + epoch * rows_.size() + row);
  EncodedInput input = rows_.encoded(row);
  if (changes.augmenter != nullptr) input = (*changes.augmenter)(rows_.inputs[row], input, random);
  for (float& x : input.features)
    if (changes.noise > 0) x += static_cast<float>(changes.noise * random.normal());
  return input;
}

void PredictBatches::fill(std::span<const uint32_t> rows, const Changes& changes, uint64_t epoch,
                          PredictBatch& batch) const {
  if (!changes.any()) return fill(rows, batch);
  fill_targets(rows, batch);
  std::vector<EncodedInput> texts(rows_.columns > 0 ? 0 : rows.size());
  const auto columns = static_cast<size_t>(rows_.columns);
  pool_.parallel_for(static_cast<int64_t>(rows.size()), 4, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); std::cmp_less(i, end); ++i) {
      EncodedInput input = changed(rows[i], changes, epoch);
      if (columns == 0) {
        texts[i] = std::move(input);
        continue;
      }
      CHECK(input.features.size() == columns);
      std::memcpy(batch.features.data() + i * columns, input.features.data(), columns * sizeof(float));
    }
  });
  for (size_t i = 0; i < texts.size(); ++i)
    add_text(texts[i].tokens.empty() ? rows_.texts[rows[i]] : texts[i], batch);
  finish(batch);
}

}  // namespace volant
