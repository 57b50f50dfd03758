// Intervals of figures of predicted classes in closed form, for where the bootstrap sees no spread: all rows
// are right, or a class is never said. Wilson's for what is a share of rows, and of averages over classes the
// interval that those of the classes give (mean_of_estimates()).
#pragma once
#include "eval/metrics/classification.h"
#include "eval/statistics.h"

namespace volant {

// Whether an interval says nothing of how sure its value is.
inline bool is_empty(const Estimate& estimate) { return !(estimate.low < estimate.high); }

class ClassIntervals {
 public:
  explicit ClassIntervals(const ConfusionMatrix& matrix) : matrix_(matrix) {}

  // Of a class; {0, 0, 0} where there is nothing to divide by. F1 is 2 j / (1 + j) of the share j of the rows
  // right among those that are of the class or said to be.
  Estimate precision(int32_t label) const;
  Estimate recall(int32_t label) const;
  Estimate f1(int32_t label) const;
  // Micro averages are all the accuracy.
  Estimate average(Average kind, double ClassScores::*figure) const;
  Estimate balanced_accuracy() const;

 private:
  Estimate of_class(double ClassScores::*figure, int32_t label) const;
  const ConfusionMatrix& matrix_;
};

}  // namespace volant
