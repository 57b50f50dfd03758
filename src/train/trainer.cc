#include "train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>

#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "ops/torch/backend.h"
#include "train/merge_parity.h"
#include "train/model_folder.h"
#include "train/schedule.h"
#include "train/trainer_run.h"

namespace volant {
namespace {

constexpr uint64_t kRankSalt = 0xD1B54A32D192ED03ULL;  // seeds of ranks

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

// With nine digits: a number of that length comes back from an event to the bit.
double short_number(double x) {
  constexpr double kParts = 1e9;
  return std::round(x * kParts) / kParts;
}

}  // namespace

bool Trainer::over() const {
  if (job_.patience > 0 && state_.evaluations_without_progress >= job_.patience) return true;
  if (state_.step >= job_.steps) return true;
  return job_.max_seconds > 0 && elapsed() >= job_.max_seconds &&
         !events_->replayed().contains(state_.step + 1);
}

Result<Trainer::Outlook> Trainer::look_ahead() const {
  std::array<double, 3> all{0, stop_requested() ? 1.0 : 0, 0};
  if (ranks_.first()) {
    const auto replay = events_->replayed().find(state_.step + 1);
    all[0] = over() ? 1 : 0;
    all[2] = replay != events_->replayed().end() ? replay->second
                                                 : short_number(train_progress(job_, state_.step, elapsed()));
  }
  TRY(ranks_.sum(all));
  return Outlook{all[0] > 0, all[1] > 0, all[2]};
}

// Every number of a part is its share of the sum.
Result<StepLoss> Trainer::whole_of(const StepLoss& part) const {
  if (ranks_.size() == 1) return part;
  StepLoss whole = part;
  std::vector<double> numbers{part.loss, static_cast<double>(part.tokens), part.flops};
  for (const auto& [name, value] : part.metrics) numbers.push_back(value.to_number<double>());
  TRY(ranks_.sum(numbers));
  whole.loss = numbers[0];
  whole.tokens = std::llround(numbers[1]);
  whole.flops = numbers[2];
  size_t at = 3;
  for (auto& [name, value] : whole.metrics) value = numbers[at++];
  return whole;
}

Result<StepLoss> Trainer::step(double lr, double& grad_norm) {
  // What is random is drawn anew by each process.
  model_->begin_step((job_.seed + kRankSalt * static_cast<uint64_t>(ranks_.rank())) * 0x9E3779B97F4A7C15ULL +
                     static_cast<uint64_t>(state_.step));
  const StepLoss part = TRY(objective_->step(*model_));
  TRY(exchange_->finish_gradients());
  const StepLoss result = TRY(whole_of(part));
  grad_norm = TRY(exchange_->gradient_norm());
  if (!std::isfinite(result.loss) || !std::isfinite(grad_norm))
    return fail(
        ErrorCode::kInvalidArgument,
        "the loss is no longer a number (loss {}, gradient norm {}) at step {}; a smaller lr (now {:.3g}) or "
        "more warmup_steps helps; the last checkpoint is kept",
        result.loss, grad_norm, state_.step + 1, lr);
  const double scale = job_.grad_clip > 0 && grad_norm > job_.grad_clip ? job_.grad_clip / grad_norm : 1.0;
  optimiser_->step(*model_, state_.step, lr, scale);
  TRY(exchange_->share_weights());
  if (average_) average_->update(*model_, state_.step);
  return result;
}

Status Trainer::save_last() {
  if (saved_step_ == state_.step) return {};
  saved_step_ = state_.step;
  std::vector<Optimizer::Slot> whole = optimiser_->slots();
  Moments gathered;
  TRY(exchange_->gather(whole, gathered));
  return with_whole_weights([&]() -> Status {
    if (average_) std::ranges::move(average_->slots(*model_), std::back_inserter(whole));
    TrainState saved = state_;
    saved.elapsed = elapsed();
    TRY(save_checkpoint(files_.last(), *model_, whole, saved, job_.digest()));
    if (job_.average_last > 0) TRY(keep_recent(files_.recent(), job_.average_last, *model_, state_.step));
    return note({{"type", "checkpoint"}, {"step", state_.step}, {"best", false}});
  });
}

Status Trainer::with_whole_weights(const std::function<Status()>& f) {
  TRY(exchange_->gather_weights());
  if (ranks_.first()) TRY(f());
  exchange_->drop_weights();
  return {};
}

std::vector<Optimizer::Slot> Trainer::slots() {
  std::vector<Optimizer::Slot> slots = optimiser_->slots();
  if (average_) std::ranges::move(average_->slots(*model_), std::back_inserter(slots));
  return slots;
}

// What is evaluated and kept is the average where there is one.
Status Trainer::evaluate() {
  if (!average_) return evaluate_weights();
  average_->swap(*model_);
  Status done = evaluate_weights();
  average_->swap(*model_);
  return done;
}

Status Trainer::evaluate_weights() {
  if (!objective_->can_evaluate() || evaluated_step_ == state_.step) return {};
  const Evaluation result = TRY(objective_->evaluate(*model_));
  TRY(exchange_->take_failure());
  evaluated_step_ = state_.step;
  JsonObject event{{"type", "eval"}, {"step", state_.step}, {"loss", result.loss}, {"seconds", elapsed()}};
  if (result.bits_per_byte > 0) event["bits_per_byte"] = result.bits_per_byte;
  if (!result.metrics.empty()) event["metrics"] = result.metrics;
  TRY(note(event));
  double judged = result.judged.value_or(result.loss);
  TRY(ranks_.copy_from_first({&judged, 1}));  // others may differ in the last digit
  if (!(judged < state_.best_loss)) {
    ++state_.evaluations_without_progress;
    if (state_.evaluations_without_progress % job_.plateau_patience == 0) ++state_.n_plateaus;
    return {};
  }
  state_.best_loss = judged;
  state_.best_step = state_.step;
  state_.evaluations_without_progress = 0;
  return with_whole_weights([&]() -> Status {
    TRY(save_checkpoint(files_.best(), *model_, {}, state_, job_.digest()));
    return note({{"type", "checkpoint"}, {"step", state_.step}, {"best", true}});
  });
}

Result<TrainOutcome> Trainer::loop() {
  std::optional<Progress> progress;
  if (ranks_.first()) progress.emplace("train", 0, objective_->unit());
  const uint64_t tokens_before = state_.tokens;
  started_ = steady_seconds();
  while (!TRY(look_ahead()).over) {
    // The checkpoint comes before the evaluation: whatever happens there, nothing is lost.
    if (due(job_.checkpoint_every) || due(job_.evaluate_every)) TRY(save_last());
    if (due(job_.evaluate_every) || begins_from_a_model()) TRY(evaluate());
    const auto [is_over, is_stopped, done] = TRY(look_ahead());
    if (is_over) break;
    if (is_stopped) {
      TRY(save_last());
      if (progress) progress->finish("stopped; the same command goes on from here");
      return TrainOutcome::kStopped;
    }
    const double begin = steady_seconds();
    const double lr = learning_rate(job_, state_.step, done, state_.n_plateaus);
    double grad_norm = 0;
    const StepLoss result = TRY(step(lr, grad_norm));
    ++state_.step;
    state_.tokens += static_cast<uint64_t>(result.tokens);
    state_.objective = objective_->state();
    const double seconds = steady_seconds() - begin;
    JsonObject event{{"type", "step"},
                     {"step", state_.step},
                     {"loss", result.loss},
                     {"lr", lr},
                     {"grad_norm", grad_norm},
                     {"tokens", state_.tokens},
                     {"tokens_per_second", static_cast<double>(result.tokens) / seconds},
                     {"mfu", result.flops / seconds / peak_flops_},
                     {"data_wait", result.waited / seconds},
                     {"rss_mb", resident_mb()},
                     {"seconds", elapsed()},
                     {"progress", done}};
    if (!result.metrics.empty()) event["metrics"] = result.metrics;
    if (const uint64_t held = exchange_->take_most_weight_bytes(); held > 0) event["weight_bytes"] = held;
    TRY(note(event));
    if (!progress) continue;
    const double now_done = train_progress(job_, state_.step, elapsed());
    const uint64_t here = state_.tokens - tokens_before;
    const double left = now_done > 0 ? (1 - now_done) / now_done * static_cast<double>(state_.tokens) : 0;
    progress->set_total(here + static_cast<uint64_t>(left));
    progress->update(here, fmt::format("step {} of {}  loss {:.4f}", state_.step, job_.steps, result.loss));
  }
  TRY(save_last());
  TRY(evaluate());
  if (progress)
    progress->finish(objective_->can_evaluate()
                         ? fmt::format("best {} {:.4f} at step {}", objective_->judged_by(), state_.best_loss,
                                       state_.best_step)
                         : "");
  return TrainOutcome::kFinished;
}

Status Trainer::write_finished() {
  int64_t step = state_.step;
  if (job_.finish_with == "average") {
    const int64_t n = TRY(average_recent(files_.recent(), *model_));
    log_info("the finished model is the mean of {} checkpoints", n);
  } else if (average_) {
    average_->swap(*model_);  // "best" replaces it where there was an evaluation
  }
  if (job_.finish_with == "best" && objective_->can_evaluate() && std::filesystem::exists(files_.best())) {
    TRY(load_checkpoint(files_.best(), *model_, model_->kept(), {}, job_.digest()));
    step = state_.best_step;
  }
  if (test_) TRY(note(TRY(test_->finish(*model_, step))));
  const std::optional<Adapter> adapter = model_->adapter();
  if (adapter) TRY(write_adapter_folder(files_.adapter(), job_, *adapter, model_->config()));
  const auto check = [&](const Path& written) -> Status {
    TRY(objective_->complete(written, files_.run));
    return adapter ? check_merge(written) : Status();
  };
  TRY(write_model_folder(files_.model(), job_, *model_, tokenizer_.get(), check));
  log_info("wrote {} (weights of step {})", files_.model().string(), step);
  return {};
}

Status Trainer::check_merge(const Path& written) {
  const ParityReport report = TRY(merged_parity(job_, *model_, *tokenizer_, written));
  JsonObject json = to_json(report).as_object();
  TRY(write_file_atomic(files_.parity(), dump_json_pretty(json)));
  json["type"] = "parity";
  json["step"] = state_.step;
  TRY(note(json));
  TRY(check_merged(report));
  log_info("the merged model is the trained one: outputs within {:.2g}, {:.2f} % of greedy tokens the same",
           report.max_logit_error, 100 * report.greedy_agreement);
  return {};
}

Status Trainer::finish(const char* status) {
  const double seconds = elapsed();
  const bool finished = std::string_view(status) == "finished";
  if (finished) TRY(exchange_->keep_on_first());
  if (!ranks_.first()) return {};
  if (finished) TRY(write_finished());
  JsonObject event{{"type", "end"}, {"status", status}, {"step", state_.step}, {"seconds", seconds}};
  if (size_) event["predicted_loss"] = size_->predicted_loss;
  if (std::isfinite(state_.best_loss)) event["best_loss"] = state_.best_loss;
  if (size_ && std::isfinite(state_.best_loss))
    print_notice(
        fmt::format("loss    {:.3f}; expected was {:.3f}\n", state_.best_loss, size_->predicted_loss));
  return note(event);
}

Result<TrainOutcome> Trainer::run() {
  TRY(ranks_.check_same(job_.digest(), "job.json"));
  if (std::filesystem::exists(files_.model() / "model.safetensors")) {
    if (ranks_.first()) log_info("{} is finished already", files_.model().string());
    return TrainOutcome::kFinished;
  }
  n_threads_ = prepare_torch(threads_of_rank(job_.n_threads, ranks_.local_size()));
  TRY(choose_device());
  TRY(make_model());
  if (plan_only_) return TrainOutcome::kFinished;
  TRY(resume());
  TRY(write_start());
  ranks_.when_lost([this](const Error& error) { note_failure(error); });
  auto outcome = loop();
  Status done;
  if (outcome) {
    done = finish(*outcome == TrainOutcome::kFinished ? "finished" : "stopped");
  } else {
    done = outcome.error();
  }
  if (done) return outcome;
  note_failure(done.error());
  return std::move(done).error();
}

void Trainer::note_failure(const Error& error) {
  (void)note({{"type", "end"},
              {"status", "failed"},
              {"step", state_.step},
              {"seconds", elapsed()},
              {"error", error.to_string()}});
}

namespace {

Result<TrainOutcome> train_with(const Ranks& ranks, const Path& job_file, bool plan_only) {
  TrainJob job = TRY(load_train_job(job_file));
  const Path folder = std::filesystem::absolute(job_file).parent_path();
  std::optional<LockFile> lock;
  if (ranks.first()) lock = TRY(LockFile::acquire(folder / "train.lock"));
  Trainer trainer(std::move(job), {folder}, std::move(lock), ranks, plan_only);
  auto outcome = trainer.run();
  ranks.when_lost({});
  return outcome;
}

}  // namespace

Result<TrainOutcome> run_training(const Path& job_file, bool plan_only,
                                  std::function<void(const Error&)> on_lost) {
  Ranks ranks = TRY(Ranks::meet(TRY(rank_info()), std::move(on_lost)));
  auto outcome = train_with(ranks, job_file, plan_only);
  ranks.leave(outcome ? Status() : Status(outcome.error()));
  return outcome;
}

}  // namespace volant
