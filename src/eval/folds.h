// Folds for cross-validation: which rows train and which test, plain, stratified, grouped, by time, repeated.
// Row numbers, sorted; the same for the same seed on every machine. Knows nothing of what is trained on them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace volant {

struct Fold {
  std::vector<size_t> train, test;  // row numbers, ascending, disjoint
};

struct FoldOptions {
  int k = 5;        // 2 to 1000
  int repeats = 1;  // 1 to 1000; each shuffles anew
  uint64_t seed = 1;
};

// All return k * repeats folds, the k of a repeat together; within a repeat each row is tested once. Errors:
// kInvalidArgument for options out of range or fewer rows (groups) than folds.

// Sizes of test parts differ by at most one.
Result<std::vector<Fold>> k_fold(size_t n_rows, const FoldOptions& options);
// And so do the numbers of every class in them. A class with fewer rows than folds is missing in some; an
// error when that is so of all classes.
Result<std::vector<Fold>> stratified_k_fold(std::span<const int32_t> labels, const FoldOptions& options);
// Rows of a group stay together (a patient, a document): no group trains and tests in one fold. Large groups
// are dealt first, each to the fold with the fewest rows.
Result<std::vector<Fold>> grouped_k_fold(std::span<const int64_t> groups, const FoldOptions& options);
// The past trains, the future tests: rows in order of `times` are cut into k + 1 parts, fold i tests on part
// i + 1 and trains on all before it. Rows of equal time stay in one part, so that every training row is
// earlier than every test row. k folds; the first part is never tested. kInvalidArgument when too many times
// are alike.
Result<std::vector<Fold>> time_ordered_folds(std::span<const double> times, int k);

}  // namespace volant
