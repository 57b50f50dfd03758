// "class_weights" of a job: how much rows count by their label.
//   "balanced"                  every class as much as every other, however rare it is
//   {"label": 2.5, "other": 0}  a label that is not named counts 1
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace volant {

struct ClassWeights {
  bool balanced = false;
  std::map<std::string, double> of_label;  // 0 to 1e6
  bool given() const { return balanced || !of_label.empty(); }
};

// The field "class_weights" of `json`; absent: nothing given.
Result<ClassWeights> parse_class_weights(const Json& json);

// One for each of `labels`, of which the rows have `counts`; empty when nothing is given. "balanced" is n /
// (classes * n of the class), so that the sums over the set are equal. kInvalidArgument names a label that
// there is not.
Result<std::vector<double>> weights_of_classes(const ClassWeights& how,
                                               const std::vector<std::string>& labels,
                                               std::span<const double> counts);

}  // namespace volant
