#include "train/row_order.h"

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

}  // namespace volant
