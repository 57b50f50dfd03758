#include "train/row_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/random.h"

namespace volant {

std::vector<uint32_t> shuffled_rows(uint64_t n, uint64_t seed, uint64_t epoch) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  Random random(seed * 0x9E3779B97F4A7C15ULL + epoch);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

void RowOrder::seek(uint64_t taken) {
  taken_ = taken;
  order_ = shuffled_rows(n_, seed_, n_ == 0 ? 0 : taken / n_);
}

uint32_t RowOrder::next() {
  const uint32_t row = order_[taken_ % n_];
  ++taken_;
  if (at_epoch_begin()) seek(taken_);
  return row;
}

Json RowOrder::state() const { return JsonObject{{"taken", taken_}}; }

Status RowOrder::restore(const Json& state) {
  const int64_t taken = TRY(json_int(state, "taken"));
  if (taken < 0) return fail(ErrorCode::kParse, "'taken': expected a count, got {}", taken);
  seek(static_cast<uint64_t>(taken));
  return {};
}

std::vector<uint32_t> RowOrder::take(int64_t tokens_per_step, const RowSize& size) {
  std::vector<uint32_t> rows;
  int64_t tokens = 0;
  do {
    rows.push_back(next());
    tokens += size(rows.back());
  } while (tokens < tokens_per_step && !at_epoch_begin());
  return rows;
}

std::vector<uint32_t> share_of(const std::vector<uint32_t>& rows, const RowOrder::RowSize& size, int rank,
                               int n_ranks) {
  int64_t total = 0, at = 0;
  for (const uint32_t row : rows) total += size(row);
  std::vector<uint32_t> mine;
  for (const uint32_t row : rows) {
    const int64_t here = size(row), middle = at + here / 2;
    at += here;
    if (middle * n_ranks / std::max<int64_t>(1, total) == rank) mine.push_back(row);
  }
  return mine;
}

int64_t RowOrder::steps_of_an_epoch(int64_t tokens_per_step, const RowSize& size) const {
  RowOrder order(n_, seed_);
  int64_t steps = 0;
  do {
    (void)order.take(tokens_per_step, size);
    ++steps;
  } while (!order.at_epoch_begin());
  return steps;
}

}  // namespace volant
