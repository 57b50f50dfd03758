// Gradient-boosted trees (Friedman 2001) by XGBoost (Chen and Guestrin 2016), with ordinary settings: the
// model that a table's network must be held against. The library is loaded when it is first needed.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "tasks/problem.h"

namespace volant {

struct DenseRows {
  std::span<const float> features;  // [n, columns], row-major
  int64_t columns = 0;
  size_t rows() const { return columns > 0 ? features.size() / static_cast<size_t>(columns) : 0; }
};

// Trees learned from `train` with its targets (class numbers, 0 or 1, or values), and what they say of
// `test`: probabilities [n, n_classes] of classes and of two classes, one value a row of numbers.
// kUnavailable when XGBoost is not installed, kInvalidArgument for shapes that do not fit, kInternal with the
// library's words.
Result<std::vector<double>> boosted_trees(const DenseRows& train, std::span<const float> targets,
                                          Problem problem, int n_classes, const DenseRows& test,
                                          int n_threads);

}  // namespace volant
