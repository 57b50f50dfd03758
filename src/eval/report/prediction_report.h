// The report of a classifier's or a regressor's predictions on rows whose truth is known: every usual figure
// with its interval, plots, scores by row. One call for every kind of model that predicts classes or numbers.
#pragma once
#include "eval/bootstrap.h"
#include "eval/report/report.h"

namespace volant {

struct ClassPredictions {
  std::span<const int32_t> truth = {};         // class numbers
  std::span<const double> probabilities = {};  // [row, class]; each row sums to 1
  std::vector<std::string> classes = {};       // names, in order of their numbers; at least two
  std::vector<std::string> ids = {};           // of rows; empty: their numbers
};

// The class of the highest probability is predicted (of equal ones the first). Figures: accuracy,
// balanced_accuracy, f1_macro, matthews_correlation, log_loss, calibration_error; of two classes also
// precision and recall of the second, roc_auc, average_precision, brier_score; of more, roc_auc of each class
// against the rest. Those that the rows do not define are left out, with a note. Groups are the classes.
// Title, model and suite are the caller's to fill in. Errors: those of the metrics (shapes, values),
// kInvalidArgument for names that do not fit.
Result<EvalReport> classification_report(const ClassPredictions& predictions,
                                         const BootstrapOptions& options = {});

// Figures: mean_squared_error, mean_absolute_error, r_squared (left out with a note when all true values are
// alike).
Result<EvalReport> regression_report(std::span<const double> truth, std::span<const double> predicted,
                                     const std::vector<std::string>& ids = {},
                                     const BootstrapOptions& options = {});

}  // namespace volant
