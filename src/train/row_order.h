// RowOrder: the rows of a set one after the other, in an order that seed and epoch fix, pass after pass.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "base/json.h"

namespace volant {

// The numbers 0 .. n - 1 as the epoch takes them.
std::vector<uint32_t> shuffled_rows(uint64_t n, uint64_t seed, uint64_t epoch);

class RowOrder {
 public:
  RowOrder(uint64_t n, uint64_t seed) : n_(n), seed_(seed) { seek(0); }
  // n > 0. After the last row of an epoch comes the first of the next.
  uint32_t next();
  // Rows given so far, over all epochs: where seek() goes on.
  uint64_t taken() const { return taken_; }
  void seek(uint64_t taken);
  // {"taken": n}, for the checkpoint, and back; kParse when there is no such count.
  Json state() const;
  Status restore(const Json& state);

  // How much of a step a row is, in tokens.
  using RowSize = std::function<int64_t(uint32_t row)>;
  // Rows of the next step: as many as make `tokens_per_step` or more, one at least; a step ends with the
  // epoch.
  std::vector<uint32_t> take(int64_t tokens_per_step, const RowSize& size);
  // How many of these make an epoch.
  int64_t steps_of_an_epoch(int64_t tokens_per_step, const RowSize& size) const;
  // Whether the next row is the first of an epoch.
  bool at_epoch_begin() const { return n_ == 0 || taken_ % n_ == 0; }

 private:
  uint64_t n_, seed_, taken_ = 0;
  std::vector<uint32_t> order_;
};

// Of a step's rows those that rank `rank` of `n_ranks` trains: each has about as much of their sizes.
std::vector<uint32_t> share_of(const std::vector<uint32_t>& rows, const RowOrder::RowSize& size, int rank,
                               int n_ranks);

}  // namespace volant
