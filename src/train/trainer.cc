#include "train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/job_words.h"
#include "io/lock_file.h"
#include "train/event_log.h"
#include "train/exchange.h"
#include "train/merge_parity.h"
#include "train/model_folder.h"
#include "train/objective.h"
#include "train/plan.h"
#include "train/schedule.h"
#include "train/size_auto.h"
#include "train/test_part.h"
#include "train/train_state.h"
#include "train/weight_average.h"

namespace volant {
namespace {

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

JsonObject memory_json(const TorchMemory& memory) {
  return {{"trained", memory.trained}, {"frozen", memory.frozen}, {"gradients", memory.gradients}};
}

// With nine digits: a number of that length comes back from an event to the bit.
double short_number(double x) {
  constexpr double kParts = 1e9;
  return std::round(x * kParts) / kParts;
}

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

Status Trainer::check_ranks() const {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::kUnsupported, "{} trains in one process, not in {}", what, ranks_.size());
  };
  if (job_.shard != "none" && !changes_numbers_apart(job_.optimizer))
    return fail(ErrorCode::kUnsupported,
                "'shard': the optimizer '{}' looks at whole matrices, which no rank would have; expected "
                "\"none\", or adamw, adam, lion or sgd",
                job_.optimizer);
  if (ranks_.size() == 1) return {};
  if (job_.size_auto) return refuse("a model whose size is chosen ('model.size')");
  if (!objective_->can_share()) return refuse("the objective '" + job_.objective_name() + "'");
  return {};
}

// Data that the run makes itself are made once, by rank 0, before the others look for them.
Status Trainer::make_objective_of_job(const ModelConfig& config) {
  if (!ranks_.first()) TRY(ranks_.meet_again());
  objective_ = TRY(make_objective({job_, tokenizer_.get(), config, ranks_}));
  if (ranks_.first()) TRY(ranks_.meet_again());
  return check_ranks();
}

Status Trainer::make_model() {
  if (!job_.tokenizer.empty()) tokenizer_ = TRY(load_tokenizer(job_.tokenizer));
  // The smallest, for the vocabulary and the pilot alone: choose_size_for() takes its place.
  if (job_.size_auto) job_.model_config = ladder_config(job_.model_config, 0);
  ModelConfig config = TRY(starting_config(job_, tokenizer_.get()));
  // The positions of a GPT-2 are learned: there are no others.
  if (std::holds_alternative<Gpt2Fields>(config.own) && job_.max_seq_len > config.max_position_embeddings)
    return fail(ErrorCode::kInvalidArgument, "'max_seq_len' is {}, but the model has positions for {}",
                job_.max_seq_len, config.max_position_embeddings);
  TRY(make_objective_of_job(config));
  // Networks are small: f32 costs them little.
  const bool is_network = std::holds_alternative<NetworkFields>(config.own);
  bf16_ = trains_in_bf16(job_) && !(is_network && job_.dtype == "auto");
  if (job_.dtype == "bf16" && !bf16_)
    log_warning("this processor has no bf16 arithmetic (AVX512_BF16): training in f32");
  TRY(check_patterns(job_.trained, config));
  if (job_.trained.adapter && config.output == ModelOutput::kLabels)
    return fail(ErrorCode::kUnsupported,
                "adapters train no classification head: use 'train_only' with its tensors, or 'freeze'");
  TorchOptions options = torch_options(job_.trained);
  options.bf16 = bf16_;
  options.label_smoothing = static_cast<float>(job_.label_smoothing);
  options.z_loss = static_cast<float>(job_.z_loss);
  options.neftune_alpha = static_cast<float>(job_.neftune_alpha);
  options.checkpoint_activations = job_.checkpoint_activations;
  choose_length();
  peak_flops_ = TRY(torch_peak_flops(bf16_));
  if (job_.size_auto) TRY(choose_size_for(config));
  if (job_.has_test() && ranks_.first()) test_ = TRY(TestPart::open(job_, tokenizer_.get(), config, files_));
  plan_ = plan_run(job_, config, *objective_, TRY(expected_memory(config, options)), peak_flops_, ranks_);
  if (ranks_.first()) print_notice(plan_.describe(notices_have_colour()));
  TRY(check_plan(plan_));
  if (plan_only_) return {};
  model_ = TRY(TorchModel::create(config, options));
  TRY(fill_starting_weights(job_, *model_));
  TRY(objective_->prepare(*model_));
  if (test_) TRY(test_->start(*model_));
  const auto& modes = job_words("shard");
  exchange_ = std::make_unique<Exchange>(
      *model_, ranks_, static_cast<Shard>(std::ranges::find(modes, job_.shard) - modes.begin()));
  optimiser_ = make_optimizer(job_, exchange_->parameters());
  if (job_.ema_decay > 0) average_.emplace(*model_, job_.ema_decay);
  return {};
}

void Trainer::choose_length() {
  const int64_t epoch = objective_->steps_of_an_epoch();
  if (job_.epochs > 0) {
    job_.steps = std::max<int64_t>(1, std::llround(job_.epochs * static_cast<double>(epoch)));
    job_.warmup_steps = std::min(job_.warmup_steps, job_.steps / 10);
  }
  if (job_.objective != TrainJob::Objective::kPredict) return;
  // Steps are small here: a pass over the data between two evaluations, where nothing is said.
  for (const auto& [key, every] : {std::pair("evaluate_every", &job_.evaluate_every),
                                   std::pair("checkpoint_every", &job_.checkpoint_every)})
    if (json_find(job_.source, key) == nullptr) *every = std::max(*every, epoch);
}

// The choice of a run that has begun stays.
Status Trainer::choose_size_for(ModelConfig& config) {
  if (std::filesystem::exists(files_.size()) && std::filesystem::exists(files_.events())) {
    size_ = TRY(SizeChoice::from_json(TRY(parse_json(TRY(read_file(files_.size()))))));
  } else {
    JsonObject base = config.to_json().as_object();
    base.erase("head_dim");
    size_ = TRY(choose_size(job_, base, *objective_, bf16_, peak_flops_));
    if (!plan_only_) TRY(write_file_atomic(files_.size(), dump_json_pretty(size_->to_json())));
  }
  print_notice(size_->describe());
  config = TRY(ModelConfig::from_json(size_->model_config));
  job_.steps = size_->steps;
  job_.max_seconds = kTrainShare * job_.budget_seconds;
  return {};
}

Status Trainer::resume() {
  if (std::filesystem::exists(files_.last())) {
    state_ = TRY(load_checkpoint(files_.last(), *model_, slots(), job_.digest()));
    TRY(objective_->restore(state_.objective));
    if (ranks_.first()) log_info("going on after step {} of {}", state_.step, job_.steps);
  }
  state_.objective = objective_->state();  // a checkpoint may come before the first step
  if (ranks_.first()) events_.emplace(TRY(EventLog::open(files_.events(), state_.step)));
  return {};
}

Status Trainer::write_start() {
  JsonObject event{{"type", state_.step == 0 ? "start" : "resume"},
                   {"step", state_.step},
                   {"time", now_iso8601()},
                   {"objective", job_.objective_name()},
                   {"n_parameters", model_->config().n_parameters()},
                   {"n_trained", model_->memory().n_trained},
                   {"model_bytes", memory_json(model_->memory())},
                   {"train_documents", objective_->n_examples()},
                   {"train_tokens", objective_->n_targets()},
                   {"validation_tokens", objective_->n_validation_targets()},
                   {"steps", job_.steps},
                   {"tokens_per_step", std::llround(objective_->rows_of_a_step(job_))},
                   {"unit", objective_->unit()},
                   {"max_seconds", job_.max_seconds},
                   {"dtype", bf16_ ? "bf16" : "f32"},
                   {"instructions", torch_isa()},
                   {"n_threads", n_threads_},
                   {"n_ranks", ranks_.size()},
                   {"peak_gflops", std::round(peak_flops_ / 1e9)},
                   {"config", model_->config().to_json()},
                   {"plan", plan_.to_json()},
                   {"size", size_ ? size_->to_json() : Json()},
                   {"job", job_.source}};
  if (ranks_.first())
    log_info("{} on {} threads ({} GFLOP/s at best){}", bf16_ ? "bf16" : "f32", n_threads_,
             static_cast<int64_t>(peak_flops_ / 1e9),
             ranks_.size() > 1 ? fmt::format(" in each of {} processes", ranks_.size()) : "");
  return note(event);
}

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
  model_->begin_step(job_.seed * 0x9E3779B97F4A7C15ULL + static_cast<uint64_t>(state_.step));
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
  if (!ranks_.first()) return {};
  if (average_) std::ranges::move(average_->slots(*model_), std::back_inserter(whole));
  TrainState saved = state_;
  saved.elapsed = elapsed();
  TRY(save_checkpoint(files_.last(), *model_, whole, saved, job_.digest()));
  if (job_.average_last > 0) TRY(keep_recent(files_.recent(), job_.average_last, *model_, state_.step));
  return note({{"type", "checkpoint"}, {"step", state_.step}, {"best", false}});
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
  if (!ranks_.first()) return {};
  TRY(save_checkpoint(files_.best(), *model_, {}, state_, job_.digest()));
  return note({{"type", "checkpoint"}, {"step", state_.step}, {"best", true}});
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
                     {"rss_mb", resident_mb()},
                     {"seconds", elapsed()},
                     {"progress", done}};
    if (!result.metrics.empty()) event["metrics"] = result.metrics;
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
    TRY(load_checkpoint(files_.best(), *model_, {}, job_.digest()));
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
  if (!ranks_.first()) return {};
  const double seconds = elapsed();
  if (std::string_view(status) == "finished") TRY(write_finished());
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
