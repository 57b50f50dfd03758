// The test part of a run: rows that decide nothing. They are looked at twice, before the first step (where
// there is a model to start from) and when the finished model is there; what is reported is the difference on
// the same rows.
//
//   test_before.json, test.json   reports that `volant eval compare` reads, those of other runs with the same
//                                 test rows too
#pragma once
#include <memory>

#include "train/objective.h"
#include "train/train_state.h"

namespace volant {

// b - a of a weighted mean over the rows, by paired bootstrap over them: {"value", "ci95"}. `weights` empty:
// all 1; all of one length.
Json paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                       const std::vector<double>& weights);

class TestPart {
 public:
  // Of a job that has_test(). `tokenizer`, null for what has none, is kept; errors: those of
  // make_objective().
  static Result<TestPart> open(const TrainJob& job, const Tokenizer* tokenizer, const ModelConfig& config,
                               const TrainFiles& files);
  // `model` has its starting weights. Measures them, once for all starts of the run.
  Status start(TorchModel& model);
  // `model` has the weights of `step`, the finished ones. Says the figures and gives the event.
  Result<JsonObject> finish(TorchModel& model, int64_t step);

 private:
  TestPart(std::unique_ptr<TrainJob> job, TrainFiles files)
      : job_(std::move(job)), files_(std::move(files)) {}
  Json report(const Evaluation& result, const char* model) const;

  std::unique_ptr<TrainJob> job_;  // whose validation rows are the test rows
  TrainFiles files_;
  std::unique_ptr<Objective> objective_;
  std::string rows_digest_;
};

}  // namespace volant
