// What predictions are judged by while they are trained, of chosen rows, so that each figure can be given
// with its interval (train/interval.h). The room eval has more of them, and reports.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace volant {

// The best class of each row of [R, n_class].
std::vector<int32_t> best_labels(std::span<const float> scores, size_t n_class);

// Mean of the F1 of all classes that a row has or was given (2 TP / (2 TP + FP + FN)).
double macro_f1(std::span<const int32_t> labels, std::span<const int32_t> guesses, size_t n_class,
                std::span<const uint32_t> rows);

// The chance that a row of label 1 has a higher score than one of label 0, ties half (Mann and Whitney 1947);
// 0.5 when one of the two labels is missing. The order of the scores is found once, for all rows.
class RocAuc {
 public:
  RocAuc(std::span<const int32_t> labels, std::span<const double> scores);  // as long as this lives
  double operator()(std::span<const uint32_t> rows) const;

 private:
  std::span<const int32_t> labels_;
  std::vector<uint32_t> rank_;  // of a row's score among all different ones
  size_t n_ranks_ = 0;
};

// 1 - squared error / squared distance from the mean of these rows; 0 when all targets are one number.
double r_squared(std::span<const double> targets, std::span<const double> values,
                 std::span<const uint32_t> rows);

}  // namespace volant
