// How the processes of a run divide the work of an objective: of a step each trains its share of the rows, of
// an evaluation it takes batches in turn.
#pragma once
#include <functional>

#include "models/instances/torch.h"
#include "train/ranks.h"
#include "train/row_order.h"

namespace volant {

// make(share) of this process's share of the step's rows, a vector with one element for each pass, of which
// the model is told. In one process that is make(rows).
template <class Make>
auto own_passes(const std::vector<uint32_t>& rows, const RowOrder::RowSize& size, const Ranks& ranks,
                TorchModel& model, const Make& make) {
  if (ranks.size() == 1) return make(rows);
  decltype(make(rows)) mine;
  int64_t most = 0;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    auto share = make(share_of(rows, size, rank, ranks.size()));
    most = std::max(most, std::ssize(share));
    if (rank == ranks.rank()) mine = std::move(share);
  }
  model.expect_passes(std::ssize(mine), most);
  return mine;
}

// compute(i) for each i < n, by one process each and then known to all; it gives n_numbers(i) of them, from
// one pass that does not train.
Result<std::vector<std::vector<double>>> in_turn(
    const Ranks& ranks, TorchModel& model, size_t n, const std::function<size_t(size_t i)>& n_numbers,
    const std::function<Result<std::vector<double>>(size_t i)>& compute);

// Each list of numbers becomes its sum over the processes; all have lists of the same lengths.
Status sum_lists(const Ranks& ranks, const std::vector<std::vector<double>*>& lists);

}  // namespace volant
