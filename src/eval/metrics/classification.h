// Metrics of predicted classes, all from one confusion matrix: accuracy, balanced accuracy, precision,
// recall, F1 (micro, macro, weighted), Matthews' correlation (Gorodkin 2004 for many classes), Cohen's kappa.
// Definitions are scikit-learn's: a ratio of nothing to nothing is 0, and classes that occur neither in truth
// nor in the predictions do not count in averages. Knows no probabilities: see probability.h.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "eval/metrics/row_counts.h"

namespace volant {

inline constexpr int32_t kMaxClasses = 4096;

enum class Average { kMicro, kMacro, kWeighted };  // weighted: by how often a class is true

struct ClassScores {
  double precision = 0, recall = 0, f1 = 0;  // 0 to 1
};

class ConfusionMatrix {
 public:
  // Class numbers from 0 to n_classes - 1, one pair a row. kInvalidArgument: no rows, other numbers of rows,
  // a class out of range; kLimit: more than kMaxClasses.
  static Result<ConfusionMatrix> of(std::span<const int32_t> truth, std::span<const int32_t> predicted,
                                    int32_t n_classes, RowCounts counts = {});

  int32_t n_classes() const { return n_classes_; }
  int64_t n_rows() const { return n_rows_; }
  int64_t at(int32_t truth, int32_t predicted) const {
    return counts_[static_cast<size_t>(truth) * static_cast<size_t>(n_classes_) +
                   static_cast<size_t>(predicted)];
  }
  int64_t true_rows(int32_t label) const { return true_rows_[static_cast<size_t>(label)]; }
  int64_t predicted_rows(int32_t label) const { return predicted_rows_[static_cast<size_t>(label)]; }

  double accuracy() const;
  // Mean recall of the classes that have true rows.
  double balanced_accuracy() const;
  // -1 to 1; 0 when truth or predictions hold one class only.
  double matthews_correlation() const;
  // Agreement beyond chance of two who label the same rows (Cohen 1960), -1 to 1; 0 when both always say one
  // and the same, as chance alone would agree.
  double cohen_kappa() const;
  ClassScores of_class(int32_t label) const;
  ClassScores average(Average kind) const;

 private:
  ConfusionMatrix(int32_t n_classes, int64_t n_rows);
  int64_t correct() const;

  int32_t n_classes_;
  int64_t n_rows_;
  std::vector<int64_t> counts_;                      // [true, predicted], row-major
  std::vector<int64_t> true_rows_, predicted_rows_;  // its margins
};

}  // namespace volant
