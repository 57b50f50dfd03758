// When one mistake costs more than the other: the threshold of two classes at which a model's decisions are
// cheapest (Elkan 2001), found on rows to choose by and priced on rows to judge by.
#pragma once
#include "eval/report/report.h"
#include "tasks/predictor.h"

namespace volant {

struct DecisionCost {
  double false_positive = 1, false_negative = 1;  // of one mistake, in the user's unit; 0 or more
};

// The threshold of least cost: the second class is said from it on. Halfway between neighbouring
// probabilities; of several as cheap, the nearest to 0.5. `truth`: 1 for the second class. kInvalidArgument
// for no rows, other numbers of rows, probabilities outside of [0, 1], negative costs.
Result<double> cheapest_threshold(std::span<const int32_t> truth, std::span<const double> probabilities,
                                  const DecisionCost& cost);
// Of a model of two classes on rows; rows whose label it does not know are left out. kInvalidArgument for
// other models.
Result<double> cheapest_threshold(Predictor& predictor, std::span<const TaskRow> rows,
                                  const DecisionCost& cost);

// The section "cost": the mean cost of a decision on `rows` at 0.5 and at `threshold`, with intervals and
// their paired difference.
Status add_decision_cost(Predictor& predictor, std::span<const TaskRow> rows, const DecisionCost& cost,
                         double threshold, EvalReport& report);

}  // namespace volant
