// The inside of a training run: what it holds, in the order of its life. Prepared in trainer_setup.cc,
// trained and ended in trainer.cc.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "io/lock_file.h"
#include "train/event_log.h"
#include "train/exchange.h"
#include "train/objective.h"
#include "train/plan.h"
#include "train/size_auto.h"
#include "train/test_part.h"
#include "train/train_state.h"
#include "train/trainer.h"
#include "train/weight_average.h"

namespace volant {

class Trainer {
 public:
  Trainer(TrainJob job, TrainFiles files, std::optional<LockFile> lock, const Ranks& ranks, bool plan_only)
      : job_(std::move(job)),
        files_(std::move(files)),
        lock_(std::move(lock)),
        ranks_(ranks),
        plan_only_(plan_only) {}
  Result<TrainOutcome> run();

 private:
  // Where it computes, and where sums over processes are formed.
  Status choose_device();
  Status make_model();
  Status make_objective_of_job(const ModelConfig& config);
  Status check_ranks() const;
  void choose_length();
  Status choose_size_for(ModelConfig& config);
  Status resume();
  Status write_start();
  Result<TrainOutcome> loop();
  // What all ranks agree on before a step, as rank 0 sees it: a clock of its own may not part them.
  struct Outlook {
    bool over = false, stop = false;
    double done = 0;  // of the run
  };
  Result<Outlook> look_ahead() const;
  // A step and the norm of its gradient.
  Result<StepLoss> step(double lr, double& grad_norm);
  Result<StepLoss> whole_of(const StepLoss& part) const;
  Status save_last();
  // Calls `f` on rank 0 while it has all weights. All ranks call it.
  Status with_whole_weights(const std::function<Status()>& f);
  Status evaluate();
  Status evaluate_weights();
  std::vector<Optimizer::Slot> slots();
  // Rank 0 alone has events.
  Status note(const JsonObject& event) { return events_ ? events_->write(event) : Status(); }
  Status finish(const char* status);
  void note_failure(const Error& error);
  Status write_finished();
  // Whether the finished folder, adapters merged, is the model that was trained; says so beside it.
  Status check_merge(const Path& written);
  double elapsed() const { return state_.elapsed + (steady_seconds() - started_); }
  bool due(int64_t every) const { return every > 0 && state_.step % every == 0 && state_.step > 0; }
  // What is tuned is measured before the first step, to compare with.
  bool begins_from_a_model() const {
    return state_.step == 0 && job_.evaluate_every > 0 && !job_.init_from.empty();
  }
  bool over() const;

  TrainJob job_;
  TrainFiles files_;
  std::optional<LockFile> lock_;  // of rank 0
  const Ranks& ranks_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<TorchModel> model_;
  std::unique_ptr<Objective> objective_;
  std::optional<TestPart> test_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Optimizer> optimiser_;
  std::optional<MovingAverage> average_;
  std::optional<EventLog> events_;
  TrainState state_;
  RunPlan plan_;
  std::optional<SizeChoice> size_;
  bool plan_only_ = false;
  bool bf16_ = false;
  int n_threads_ = 1;
  double peak_flops_ = 0, started_ = 0;
  int64_t evaluated_step_ = -1, saved_step_ = -1;
};

}  // namespace volant
