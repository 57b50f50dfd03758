// How a model gets better with more data: errors after training on shares of the rows, a power law through
// them (error = floor + scale * rows^-exponent; Hestness et al. 2017), and what it says of more data. That
// the curve goes on so is an assumption; the interval is of the points' own uncertainty, and of their
// distance from the curve.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "eval/report/report.h"

namespace volant {

struct CurveSample {
  double rows = 0;      // trained on
  Estimate error = {};  // less is better, 0 or more
};

struct PowerLaw {
  double floor = 0, scale = 0, exponent = 0;  // all 0 or more: more data never hurts
  double at(double rows) const;
};

// Least squares weighted by the intervals; of two points the floor is 0. kInvalidArgument: fewer than two
// points, two of the same rows, rows or errors out of range.
Result<PowerLaw> fit_power_law(std::span<const CurveSample> samples);

struct Extrapolation {
  Estimate error, gain;  // at so many rows; what the error at the last point, as fitted, loses
  double misfit = 1;     // how many times further from the curve the points lie than their intervals explain
};
// By fits to points drawn from normal distributions as wide as their intervals; wider by the misfit where the
// points do not lie on a power law (Birge 1932).
Result<Extrapolation> extrapolate(std::span<const CurveSample> samples, double rows, uint64_t seed = 1);

// The section "learning_curve": table, plot, and in the report's notes what twice the data would give, in
// words. `figure`: "accuracy" (error is its complement) or a name of an error.
Status add_learning_curve(std::span<const CurveSample> samples, const std::string& figure,
                          EvalReport& report);

}  // namespace volant
