#include "eval/folds.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/random.h"
#include "eval/metrics/checks.h"

namespace volant {
namespace {

constexpr int kMaxFolds = 1000, kMaxRepeats = 1000;

Status check_options(const FoldOptions& options, size_t n_units, const char* units) {
  if (options.k < 2 || options.k > kMaxFolds)
    return fail(ErrorCode::kInvalidArgument, "folds: expected 2 to {} folds, got {}", kMaxFolds, options.k);
  if (options.repeats < 1 || options.repeats > kMaxRepeats)
    return fail(ErrorCode::kInvalidArgument, "folds: expected 1 to {} repeats, got {}", kMaxRepeats,
                options.repeats);
  if (n_units < static_cast<size_t>(options.k))
    return fail(ErrorCode::kInvalidArgument,
                "folds: expected at least as many {} as folds, got {} for {} folds", units, n_units,
                options.k);
  return {};
}

template <class T>
void shuffle(std::vector<T>& values, Random& random) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

// Folds from the number of the fold that tests each row.
void append_folds(const std::vector<size_t>& fold_of_row, size_t k, std::vector<Fold>& folds) {
  const size_t first = folds.size();
  folds.resize(first + k);
  for (size_t row = 0; row < fold_of_row.size(); ++row) {
    for (size_t f = 0; f < k; ++f)
      (fold_of_row[row] == f ? folds[first + f].test : folds[first + f].train).push_back(row);
  }
}

// Rows of each class are dealt round, each class going on where the last one
// stopped: classes and folds stay even at once.
std::vector<size_t> deal(const std::vector<std::vector<size_t>>& classes, size_t n_rows, size_t k,
                         Random& random) {
  std::vector<size_t> fold_of_row(n_rows);
  size_t next = 0;
  for (std::vector<size_t> rows : classes) {
    shuffle(rows, random);
    for (const size_t row : rows) fold_of_row[row] = next++ % k;
  }
  return fold_of_row;
}

std::vector<Fold> dealt_folds(const std::vector<std::vector<size_t>>& classes, size_t n_rows,
                              const FoldOptions& options) {
  Random random(options.seed);
  std::vector<Fold> folds;
  const auto k = static_cast<size_t>(options.k);
  for (int r = 0; r < options.repeats; ++r) append_folds(deal(classes, n_rows, k, random), k, folds);
  return folds;
}

}  // namespace

Result<std::vector<Fold>> k_fold(size_t n_rows, const FoldOptions& options) {
  TRY(check_options(options, n_rows, "rows"));
  std::vector<size_t> rows(n_rows);
  std::iota(rows.begin(), rows.end(), size_t{0});
  return dealt_folds({rows}, n_rows, options);
}

Result<std::vector<Fold>> stratified_k_fold(std::span<const int32_t> labels, const FoldOptions& options) {
  TRY(check_options(options, labels.size(), "rows"));
  std::map<int32_t, std::vector<size_t>> by_label;
  for (size_t row = 0; row < labels.size(); ++row) by_label[labels[row]].push_back(row);
  std::vector<std::vector<size_t>> classes;
  classes.reserve(by_label.size());
  size_t largest = 0;
  for (auto& [label, rows] : by_label) {
    largest = std::max(largest, rows.size());
    classes.push_back(std::move(rows));
  }
  if (largest < static_cast<size_t>(options.k))
    return fail(ErrorCode::kInvalidArgument,
                "folds: expected a class with at least {} rows, the largest has {}; take fewer folds",
                options.k, largest);
  return dealt_folds(classes, labels.size(), options);
}

Result<std::vector<Fold>> grouped_k_fold(std::span<const int64_t> groups, const FoldOptions& options) {
  std::map<int64_t, std::vector<size_t>> by_group;
  for (size_t row = 0; row < groups.size(); ++row) by_group[groups[row]].push_back(row);
  TRY(check_options(options, by_group.size(), "groups"));
  std::vector<const std::vector<size_t>*> order;
  order.reserve(by_group.size());
  for (const auto& [group, rows] : by_group) order.push_back(&rows);
  Random random(options.seed);
  const auto k = static_cast<size_t>(options.k);
  std::vector<Fold> folds;
  for (int r = 0; r < options.repeats; ++r) {
    shuffle(order, random);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return a->size() > b->size(); });
    std::vector<size_t> fold_of_row(groups.size()), rows_of_fold(k);
    for (const std::vector<size_t>* rows : order) {
      const auto least = std::min_element(rows_of_fold.begin(), rows_of_fold.end());
      for (const size_t row : *rows) fold_of_row[row] = static_cast<size_t>(least - rows_of_fold.begin());
      *least += rows->size();
    }
    append_folds(fold_of_row, k, folds);
  }
  return folds;
}

Result<std::vector<Fold>> time_ordered_folds(std::span<const double> times, int k) {
  TRY(check_options({.k = k}, times.empty() ? 0 : times.size() - 1, "later rows"));
  TRY(check_finite(times, "folds by time"));
  std::vector<size_t> order(times.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return times[a] < times[b]; });
  const size_t n_parts = static_cast<size_t>(k) + 1;
  std::vector<size_t> ends;  // of parts, in `order`
  for (size_t part = 1; part <= n_parts; ++part) {
    const size_t begin = ends.empty() ? 0 : ends.back();
    size_t end = std::max(order.size() * part / n_parts, begin + 1);
    if (end > order.size())
      return fail(
          ErrorCode::kInvalidArgument,
          "folds by time: expected at least {} different times for {} folds, too many rows share a time; "
          "take fewer folds",
          n_parts, k);
    while (end < order.size() && times[order[end]] == times[order[end - 1]]) ++end;
    ends.push_back(end);
  }
  std::vector<Fold> folds;
  for (size_t part = 1; part < n_parts; ++part) {
    const auto at = [&](size_t i) { return order.begin() + static_cast<ptrdiff_t>(ends[i]); };
    Fold fold{{order.begin(), at(part - 1)}, {at(part - 1), at(part)}};
    std::sort(fold.train.begin(), fold.train.end());
    std::sort(fold.test.begin(), fold.test.end());
    folds.push_back(std::move(fold));
  }
  return folds;
}

}  // namespace volant
