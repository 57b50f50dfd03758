#include "ops/native/column_loop.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/pack.h"

namespace volant {

int ColumnLoop::group_of(uint64_t act) const {
  for (const Step& step : steps_)
    if (step.act == act) return step.group;
  for (const Product& product : products_)
    if (product.act == act) return product.group;
  return -1;
}

void ColumnLoop::add(MatmulTable::Matmul matmul, const MatmulArgs& args, uint64_t act) {
  const int64_t n_piece = (args.n_out + kColumns - 1) / kColumns;
  products_.push_back({static_cast<int>(groups_.size()), act, matmul, args});
  groups_.push_back({.n_column = args.n_out, .n_piece = n_piece});
}

int ColumnLoop::joined(std::initializer_list<uint64_t> acts) {
  int first = -1;
  for (const uint64_t act : acts) {
    const int group = group_of(act);
    if (group < 0 || group == first) continue;
    if (first < 0) {
      first = group;
      continue;
    }
    CHECK(groups_[static_cast<size_t>(group)].n_column == groups_[static_cast<size_t>(first)].n_column);
    groups_[static_cast<size_t>(group)].n_piece = 0;
    for (Product& product : products_)
      if (product.group == group) product.group = first;
    for (Step& step : steps_)
      if (step.group == group) step.group = first;
  }
  CHECK(first >= 0);
  return first;
}

void ColumnLoop::run_pieces(int64_t begin, int64_t end) const {
  for (int g = 0; g < static_cast<int>(groups_.size()); ++g) {
    const Group& group = groups_[static_cast<size_t>(g)];
    const int64_t from = std::max<int64_t>(begin - group.first, 0),
                  to = std::min(end - group.first, group.n_piece);
    if (from >= to) continue;
    for (const Product& product : products_) {
      if (product.group != g) continue;
      MatmulArgs part = product.args;
      part.panel_begin = from * (kColumns / kPanel);
      part.panel_end = std::min(to * (kColumns / kPanel), panel_count(group.n_column));
      product.matmul(part);
    }
    for (const Step& step : steps_)
      if (step.group == g) step.call(step.held, from * kColumns, std::min(to * kColumns, group.n_column));
  }
}

void ColumnLoop::run(ThreadPool& threads, int64_t grain) {
  int64_t n_piece = 0, work = 0;  // multiply-adds
  for (Group& group : groups_) {
    group.first = n_piece;
    n_piece += group.n_piece;
  }
  for (const Product& product : products_)
    work += product.args.n_rows * product.args.n_in * product.args.n_out;
  const int64_t each = std::max<int64_t>(1, work / std::max<int64_t>(1, n_piece));
  threads.parallel_for(n_piece, std::max<int64_t>(1, grain / each),
                       [this](int64_t begin, int64_t end) { run_pieces(begin, end); });
  groups_.clear();
  products_.clear();
  steps_.clear();
}

}  // namespace volant
