// Metrics of scores and probabilities: ROC and precision-recall curves with their areas, log loss, Brier
// score, calibration (ECE, Guo et al. 2017), top-k accuracy. Labels of binary metrics are 0 or 1; matrices
// are [row, class], row-major. Values equal scikit-learn's. Knows no thresholds: for decided classes see
// classification.h.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "eval/metrics/row_counts.h"

namespace volant {

struct CurvePoint {
  double x = 0, y = 0;
  double threshold = 0;  // rows with at least this score count as positive
};

// Rows of two classes, 0 and 1, sorted by their scores once, for the areas of many samples of them.
class RankedScores {
 public:
  // kInvalidArgument: no rows, other numbers of rows, labels but 0 and 1, scores not finite.
  static Result<RankedScores> of(std::span<const int32_t> labels, std::span<const double> scores);

  // How many rows of the sample have at least this score; one step a distinct score among them, highest
  // first.
  struct Step {
    double score = 0, positives = 0, negatives = 0;
  };
  std::vector<Step> steps(RowCounts counts = {}) const;
  // As the functions of these names below; `counts` has a number for each row, or none.
  Result<double> roc_auc(RowCounts counts = {}) const;
  Result<double> average_precision(RowCounts counts = {}) const;

 private:
  struct Row {
    uint32_t number = 0;
    bool positive = false, last_of_ties = true;
    double score = 0;
  };
  std::vector<Row> rows_;  // highest score first
};

// False positive rate (x) against true positive rate (y), from (0, 0) with an infinite threshold to (1, 1),
// one point a distinct score. kInvalidArgument: labels of one class only, labels but 0 and 1, scores not
// finite.
Result<std::vector<CurvePoint>> roc_curve(std::span<const int32_t> labels, std::span<const double> scores);
// The area below it: the chance that a positive row scores above a negative one, ties half. Errors as above.
Result<double> roc_auc(std::span<const int32_t> labels, std::span<const double> scores);
// Mean area of each class against the rest; every class must occur and not be alone.
Result<double> roc_auc_one_vs_rest(std::span<const int32_t> labels, std::span<const double> scores,
                                   int32_t n_classes);

// Recall (x) against precision (y), highest threshold first. kInvalidArgument: no positive row, or as above.
Result<std::vector<CurvePoint>> precision_recall_curve(std::span<const int32_t> labels,
                                                       std::span<const double> scores);
// The area below it by steps (no interpolation, which would flatter): sum of precision times the recall
// gained.
Result<double> average_precision(std::span<const int32_t> labels, std::span<const double> scores);

// Mean of -ln p(true class), natural logarithm; probabilities are clipped to [2.2e-16, 1]. Each row must sum
// to 1 within 1e-3 and lie in [0, 1].
Result<double> log_loss(std::span<const int32_t> labels, std::span<const double> probabilities,
                        int32_t n_classes);
// Of each row, what it is the mean of. Errors as above.
Result<std::vector<double>> log_losses(std::span<const int32_t> labels, std::span<const double> probabilities,
                                       int32_t n_classes);
// Mean squared distance of the probability of class 1 from the label, 0 to 1 (Brier 1950, binary).
Result<double> brier_score(std::span<const int32_t> labels, std::span<const double> probabilities,
                           RowCounts counts = {});

struct CalibrationBin {
  double confidence = 0, accuracy = 0;  // means over the bin's rows
  int64_t rows = 0;
};
// Bins of equal width over [0, 1]: how often rows of a stated confidence are right. Bins without rows stay
// in. `correct` holds 0 or 1. 1 to 1000 bins.
Result<std::vector<CalibrationBin>> calibration_bins(std::span<const int32_t> correct,
                                                     std::span<const double> confidence, int n_bins = 15,
                                                     RowCounts counts = {});
// Expected calibration error: mean |accuracy - confidence| over bins, weighted by their rows.
Result<double> expected_calibration_error(std::span<const int32_t> correct,
                                          std::span<const double> confidence, int n_bins = 15,
                                          RowCounts counts = {});

// Share of rows whose true class is among the k highest scores; of equal scores the higher class number wins.
Result<double> top_k_accuracy(std::span<const int32_t> labels, std::span<const double> scores,
                              int32_t n_classes, int32_t k);

}  // namespace volant
