// What a run learns: its data, the loss on it, and how both are measured. The trainer owns steps, rates,
// optimiser, checkpoints and events, and knows nothing of tokens; an objective owns the rest.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/instances/torch.h"
#include "text/tokenizer.h"
#include "train/job.h"
#include "train/ranks.h"

namespace volant {

// Of several processes each gives its part: the sum over all is what one process would give.
struct StepLoss {
  double loss = 0;     // mean over what the step learned from
  int64_t tokens = 0;  // rows that are no padding; of other units so many of those
  double flops = 0;    // forward and backward
  double waited = 0;   // seconds that the model waited for its data
  JsonObject metrics;  // besides the loss, for the event: {"accuracy": 0.71, "margin": 0.2}
};

// A figure that is the weighted mean of a number for each row: rows that two models have seen can be compared
// in pairs.
struct RowFigure {
  std::string name;
  std::vector<double> values;  // one for each row
  bool higher_is_better = false;
};

struct Evaluation {
  double loss = 0;
  double bits_per_byte = 0;  // of language models; 0: none
  JsonObject metrics = {};   // each a number, or {"value":, "ci95": [low, high]}
  std::vector<RowFigure> by_row = {};
  std::vector<double> row_weights = {};  // of the rows of by_row; empty: all 1
  std::optional<double> judged = {};     // what "best" is judged by, lower is better; none: the loss
};

class Objective {
 public:
  virtual ~Objective() = default;

  // Examples, and what is learned from in one pass over them (target tokens, pairs...).
  virtual uint64_t n_examples() const = 0;
  virtual uint64_t n_targets() const = 0;
  // Of one pass; the cursor comes back to where it was.
  virtual int64_t steps_of_an_epoch() = 0;

  // Called once, before the first step and before a resume: the model has its starting weights, whatever a
  // checkpoint gives it afterwards.
  virtual Status prepare(const TorchModel& starting_model) {
    (void)starting_model;
    return {};
  }
  // Adds the gradient of the next step's mean loss to the model's gradients. kInvalidArgument when there is
  // nothing to learn in the data.
  virtual Result<StepLoss> step(TorchModel& model) = 0;
  // Whether several processes can share its steps: each adds the gradients of its own part.
  virtual bool can_share() const { return false; }
  // And with shared weights (train/shared_weights.h): all processes make as many passes.
  virtual bool can_share_weights() const { return false; }
  // Absent data: no evaluation.
  virtual bool can_evaluate() const = 0;
  virtual uint64_t n_validation_targets() const { return 0; }
  virtual Result<Evaluation> evaluate(TorchModel& model) = 0;
  // What the judged number of an evaluation is, for people.
  virtual std::string judged_by() const { return "loss"; }

  // Where in the data the next step starts, for an exact resume; whatever step() depends on besides the
  // model.
  virtual Json state() const = 0;
  virtual Status restore(const Json& state) = 0;

  // A few examples as a person would read them, before the run starts: pieces of text and whether each is
  // learned from.
  struct Piece {
    std::string text;
    bool trained = false;
  };
  virtual std::vector<std::vector<Piece>> preview(int n_examples) const = 0;

  // Bytes that one step needs besides the model, its gradients and the optimiser: activations.
  virtual uint64_t activation_bytes(const ModelConfig& config) const = 0;

  // What StepLoss::tokens counts.
  virtual const char* unit() const { return "tokens"; }
  // Rows that go through the model in one step.
  virtual double rows_of_a_step(const TrainJob& job) const {
    return static_cast<double>(job.tokens_per_step);
  }
  // Called with the folder of the finished model before it is put in its place: adds what belongs there and
  // checks it. `run`: the run's folder, for a report.
  virtual Status complete(const Path& model_folder, const Path& run) {
    (void)model_folder, (void)run;
    return {};
  }
};

// What every objective is made from.
struct ObjectiveContext {
  const TrainJob& job;
  const Tokenizer* tokenizer = nullptr;  // null for what has none
  const ModelConfig& config;
  const Ranks& ranks = Ranks::alone();
};

// The objective that the job names; one file for each in train/objectives/.
Result<std::unique_ptr<Objective>> make_objective(const ObjectiveContext& context);

}  // namespace volant
