// Cross-validation of a workspace's model: trained and scored k times on other parts of its training and
// validation rows. The test rows stay out: they judge the model that is chosen by this.
#pragma once
#include "wheel/predict/trial.h"

namespace volant::predict {

struct CrossValidationOptions {
  int k = 5, repeats = 1;
  std::string kind = {};  // stratified | random | group | time; empty: as [data] split says, or by problem
  uint64_t seed = 1;
  // Folds by group or time learn from no row whose input they test; the others never do.
  bool separate_inputs = false;
  TrialOptions trials = {};
};

// How rows are dealt: as `kind` says, else as split in [data], else by label where there are labels.
Result<std::string> fold_kind(std::span<const TaskRow> rows, const JsonObject& data, const std::string& kind);

// The trials: a fold's training part gives its own validation rows, by the share and in the way of [data].
// Rows of the same input are on one side, unless folds go by group or time and `separate_inputs` is not said.
// kInvalidArgument for rows without group or time, fewer rows than folds, repeats of a split by time, a fold
// that would have nothing to learn from.
Result<std::vector<Trial>> fold_trials(std::span<const TaskRow> rows, const JsonObject& data,
                                       const CrossValidationOptions& options);
// Figures: the mean of every one that all folds have, with the interval of Nadeau and Bengio (2003). Sections
// "folds" (each fold's figures) and "spread" (that interval beside Student's, which takes folds for
// independent).
Result<EvalReport> report_folds(std::span<const TrialResult> folds);

Result<EvalReport> cross_validate(Workspace& workspace, const CrossValidationOptions& options);

}  // namespace volant::predict
