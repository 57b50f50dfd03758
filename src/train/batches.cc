#include "train/batches.h"

#include <algorithm>
#include <numeric>

#include "train/row_order.h"

namespace volant {
namespace {
// Padded batches come in few sizes, so that their products are planned once.
constexpr int64_t kPadTo = 64;
}  // namespace

void TrainBatch::add(std::span<const int32_t> ids, size_t first_target) {
  const auto rows = static_cast<int32_t>(tokens.size());
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    tokens.push_back(ids[i]);
    pos.push_back(static_cast<int32_t>(i));
    if (i + 1 < first_target) continue;
    out_rows.push_back(rows + static_cast<int32_t>(i));
    targets.push_back(ids[i + 1]);
    weights.push_back(1);
  }
  seq_begin.push_back(static_cast<int32_t>(tokens.size()));
  n_real = static_cast<int64_t>(tokens.size());
}

void TrainBatch::add(const Example& example, int64_t offset, int64_t take) {
  const auto rows = static_cast<int64_t>(tokens.size());
  for (int64_t i = 0; i < take; ++i) {
    const auto at = static_cast<size_t>(offset + i);
    tokens.push_back(example.ids[at]);
    pos.push_back(static_cast<int32_t>(i));
    const float weight = example.weights.empty() ? 1.0F : example.weights[at + 1];
    if (weight <= 0) continue;
    out_rows.push_back(static_cast<int32_t>(rows + i));
    targets.push_back(example.ids[at + 1]);
    weights.push_back(weight);
  }
  seq_begin.push_back(static_cast<int32_t>(tokens.size()));
  n_real = static_cast<int64_t>(tokens.size());
}

void TrainBatch::pad() {
  const auto rows = static_cast<int64_t>(tokens.size());
  const int64_t padded = (rows + kPadTo - 1) / kPadTo * kPadTo;
  if (padded == rows) return;
  for (int64_t i = rows; i < padded; ++i) {
    tokens.push_back(0);
    pos.push_back(static_cast<int32_t>(i - rows));
  }
  seq_begin.push_back(static_cast<int32_t>(padded));
}

double TrainBatch::weight() const {
  double sum = 0;
  for (const float w : weights) sum += static_cast<double>(w);
  return sum;
}

Batches::Batches(const Examples& examples, const BatchOptions& options)
    : examples_(examples), options_(options) {
  start_epoch();
}

void Batches::seek(const Cursor& cursor) {
  cursor_ = cursor;
  start_epoch();
}

void Batches::start_epoch() {
  if (options_.shuffle) {
    order_ = shuffled_rows(examples_.size(), options_.seed, cursor_.epoch);
  } else {
    order_.resize(examples_.size());
    std::iota(order_.begin(), order_.end(), 0U);
  }
}

bool Batches::add_piece(TrainBatch& batch) {
  const Example example = examples_.get(order_[cursor_.index]);
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const int64_t offset = static_cast<int64_t>(cursor_.offset);
  const int64_t room = options_.tokens - rows;
  const int64_t wanted =
      std::min(static_cast<int64_t>(example.ids.size()) - 1 - offset, options_.max_seq_len);
  if (wanted > room && !examples_.may_cut()) return false;
  const int64_t take = std::min(wanted, room);
  if (take > 0) batch.add(example, offset, take);
  cursor_.offset += static_cast<uint64_t>(std::max<int64_t>(take, 0));
  if (!examples_.may_cut() || cursor_.offset + 1 >= example.ids.size()) {
    ++cursor_.index;
    cursor_.offset = 0;
  }
  return true;
}

TrainBatch Batches::next() {
  TrainBatch batch;
  while (static_cast<int64_t>(batch.tokens.size()) < options_.tokens) {
    if (cursor_.index == order_.size()) {
      if (!options_.shuffle || (!examples_.may_cut() && !batch.tokens.empty())) break;
      ++cursor_.epoch;
      cursor_.index = 0;
      start_epoch();
    }
    if (!add_piece(batch)) break;
  }
  batch.n_real = static_cast<int64_t>(batch.tokens.size());
  batch.pad();
  return batch;
}

}  // namespace volant
