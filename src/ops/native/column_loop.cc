#include "ops/native/column_loop.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/pack.h"

namespace volant {
namespace {
// Of the next loop for each thread: it fits the second level cache beside what is in use.
constexpr int64_t kAheadBytes = int64_t{320} * 1024;
}  // namespace

int ColumnLoop::group_of(uint64_t act) const {
  for (const Step& step : steps_)
    if (step.act == act) return step.group;
  for (const Product& product : products_)
    if (product.act == act) return product.group;
  return -1;
}

void ColumnLoop::add(DType dtype, const MatmulArgs& args, uint64_t act) {
  const int64_t n_piece = (args.n_out + kColumns - 1) / kColumns;
  products_.push_back({.group = static_cast<int>(groups_.size()),
                       .act = act,
                       .matmul = kernels().matmul[dtype],
                       .args = args,
                       .panel_bytes = static_cast<int64_t>(packed_bytes(dtype, kPanel, args.n_in)),
                       .scale_bytes = static_cast<int64_t>(packed_scale_bytes(dtype, kPanel, args.n_in))});
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

void ColumnLoop::note(const void* data, size_t bytes) {
  constexpr size_t kMost = 64, kMostBytes = 4096;
  if (next_loop_ == pass_.size()) pass_.emplace_back();
  std::vector<ThreadPool::Ahead>& small = pass_[next_loop_].small;
  if (small.size() < kMost)
    small.push_back({static_cast<const std::byte*>(data), static_cast<int64_t>(std::min(bytes, kMostBytes))});
}

template <class F>
void ColumnLoop::for_products(int64_t begin, int64_t end, const F& f) const {
  for (int g = 0; g < static_cast<int>(groups_.size()); ++g) {
    const Group& group = groups_[static_cast<size_t>(g)];
    const int64_t from = std::max<int64_t>(begin - group.first, 0),
                  to = std::min(end - group.first, group.n_piece);
    if (from >= to) continue;
    for (const Product& product : products_)
      if (product.group == g)
        f(product, from * (kColumns / kPanel),
          std::min(to * (kColumns / kPanel), panel_count(group.n_column)));
  }
}

void ColumnLoop::run_pieces(int64_t begin, int64_t end) const {
  for_products(begin, end, [](const Product& product, int64_t first, int64_t last) {
    MatmulArgs part = product.args;
    part.panel_begin = first;
    part.panel_end = last;
    product.matmul(part);
  });
  for (const Step& step : steps_) {
    const Group& group = groups_[static_cast<size_t>(step.group)];
    const int64_t from = std::max<int64_t>(begin - group.first, 0) * kColumns,
                  to = std::min((end - group.first) * kColumns, group.n_column);
    if (from < to) step.call(step.held, from, to);
  }
}

void ColumnLoop::note_reading(const ThreadPool& threads, int64_t n_piece, int64_t grain,
                              Reading& reading) const {
  reading.first = products_[0].args.w;
  reading.n_piece = n_piece;
  reading.n_product = products_.size();
  reading.ahead.assign(static_cast<size_t>(threads.size()) * ThreadPool::kAheads, {});
  const int64_t n = threads.piece_count(n_piece, grain);
  for (int64_t t = 0; t < threads.size(); ++t) {
    const std::span<ThreadPool::Ahead> own =
        std::span(reading.ahead).subspan(static_cast<size_t>(t) * ThreadPool::kAheads, ThreadPool::kAheads);
    size_t used = 0;
    int64_t left = kAheadBytes;
    const auto add = [&](const void* data, int64_t at, int64_t bytes) {
      bytes = std::min(bytes, left);
      if (bytes <= 0) return;
      const std::byte* from = static_cast<const std::byte*>(data) + at;
      left -= bytes;
      for (size_t i = 0; i < used; ++i) {
        if (own[i].data + own[i].bytes != from) continue;
        own[i].bytes += bytes;
        return;
      }
      if (used < own.size()) own[used++] = {from, bytes};
    };
    for (int64_t i = n * t / threads.size(); i < n * (t + 1) / threads.size() && left > 0; ++i) {
      for_products(
          n_piece * i / n, n_piece * (i + 1) / n, [&](const Product& product, int64_t first, int64_t last) {
            add(product.args.w_scales, first * product.scale_bytes, (last - first) * product.scale_bytes);
            add(product.args.w, first * product.panel_bytes, (last - first) * product.panel_bytes);
          });
    }
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
  const int64_t least = std::max<int64_t>(1, grain / each);  // pieces of columns
  if (next_loop_ == pass_.size()) pass_.emplace_back();
  Reading& own = pass_[next_loop_];
  if (own.first != products_[0].args.w || own.n_piece != n_piece || own.n_product != products_.size())
    note_reading(threads, n_piece, least, own);
  Reading& next = pass_[++next_loop_ < pass_.size() ? next_loop_ : 0];
  for (const ThreadPool::Ahead& part : next.small)
    for (int64_t at = 0; at < part.bytes; at += 64) __builtin_prefetch(part.data + at, 0, 2);
  next.small.clear();
  threads.parallel_for(
      n_piece, least, [this](int64_t begin, int64_t end) { run_pieces(begin, end); }, next.ahead);
  groups_.clear();
  products_.clear();
  steps_.clear();
}

}  // namespace volant
