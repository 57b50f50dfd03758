#include "eval/report/class_intervals.h"

#include <cmath>
#include <vector>

#include "eval/significance.h"

namespace volant {
namespace {

Estimate share(int64_t right, int64_t rows) {
  return rows > 0 ? share_estimate(right, rows).value() : Estimate();
}

}  // namespace

Estimate ClassIntervals::precision(int32_t label) const {
  return share(matrix_.at(label, label), matrix_.predicted_rows(label));
}

Estimate ClassIntervals::recall(int32_t label) const {
  return share(matrix_.at(label, label), matrix_.true_rows(label));
}

Estimate ClassIntervals::f1(int32_t label) const {
  const int64_t right = matrix_.at(label, label);
  const Estimate j = share(right, matrix_.true_rows(label) + matrix_.predicted_rows(label) - right);
  const auto f1_of = [](double x) { return 2 * x / (1 + x); };
  return {f1_of(j.value), f1_of(j.low), f1_of(j.high)};
}

Estimate ClassIntervals::of_class(double ClassScores::*figure, int32_t label) const {
  return figure == &ClassScores::precision ? precision(label)
         : figure == &ClassScores::recall  ? recall(label)
                                           : f1(label);
}

Estimate ClassIntervals::average(Average kind, double ClassScores::*figure) const {
  if (kind == Average::kMicro)
    return share(std::llround(matrix_.accuracy() * static_cast<double>(matrix_.n_rows())), matrix_.n_rows());
  std::vector<Estimate> of_classes;
  std::vector<double> weights;
  for (int32_t c = 0; c < matrix_.n_classes(); ++c) {
    if (matrix_.true_rows(c) + matrix_.predicted_rows(c) == 0) continue;
    of_classes.push_back(of_class(figure, c));
    weights.push_back(kind == Average::kMacro ? 1 : static_cast<double>(matrix_.true_rows(c)));
  }
  return mean_of_estimates(of_classes, weights);
}

Estimate ClassIntervals::balanced_accuracy() const {
  std::vector<Estimate> recalls;
  for (int32_t c = 0; c < matrix_.n_classes(); ++c)
    if (matrix_.true_rows(c) > 0) recalls.push_back(recall(c));
  return mean_of_estimates(recalls, std::vector<double>(recalls.size(), 1));
}

}  // namespace volant
