#include "train/batches.h"

#include <algorithm>
#include <numeric>
#include <utility>

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

namespace {

// Sequence number `s` of `from` goes to the end of `to`; `out` is its first row that is read out, and then
// that of the next.
void move_sequence(const TrainBatch& from, size_t s, size_t& out, TrainBatch& to) {
  const auto begin = static_cast<size_t>(from.seq_begin[s]), end = static_cast<size_t>(from.seq_begin[s + 1]);
  const auto shift = static_cast<int32_t>(to.tokens.size()) - from.seq_begin[s];
  to.tokens.insert(to.tokens.end(), from.tokens.begin() + from.seq_begin[s],
                   from.tokens.begin() + from.seq_begin[s + 1]);
  to.pos.insert(to.pos.end(), from.pos.begin() + from.seq_begin[s], from.pos.begin() + from.seq_begin[s + 1]);
  for (; out < from.out_rows.size() && std::cmp_less(from.out_rows[out], end); ++out) {
    to.out_rows.push_back(from.out_rows[out] + shift);
    to.targets.push_back(from.targets[out]);
    to.weights.push_back(from.weights[out]);
  }
  to.n_real += static_cast<int64_t>(end - begin);
  to.seq_begin.push_back(static_cast<int32_t>(to.n_real));
}

}  // namespace

std::vector<TrainBatch> share_of(const std::vector<TrainBatch>& parts, int rank, int size) {
  int64_t total = 0, at = 0;
  for (const TrainBatch& part : parts) total += part.n_real;
  std::vector<TrainBatch> mine;
  for (const TrainBatch& part : parts) {
    TrainBatch share;
    size_t out = 0;
    for (size_t s = 0; s + 1 < part.seq_begin.size() && part.seq_begin[s] < part.n_real; ++s) {
      const int64_t rows = part.seq_begin[s + 1] - part.seq_begin[s];
      const int64_t middle = at + rows / 2;
      at += rows;
      if (middle * size / std::max<int64_t>(1, total) == rank) {
        move_sequence(part, s, out, share);
      } else {
        while (out < part.out_rows.size() && part.out_rows[out] < part.seq_begin[s + 1]) ++out;
      }
    }
    if (share.n_real == 0) continue;
    share.pad();
    mine.push_back(std::move(share));
  }
  return mine;
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
