#include "train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numbers>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "io/lock_file.h"
#include "train/event_log.h"
#include "train/model_folder.h"
#include "train/schedule.h"
#include "train/train_state.h"

namespace volant {
namespace {

// Batches in a row that may hold nothing to learn before the run gives up.
constexpr int kMaxEmptySteps = 1000;

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

// Floating point operations of a forward and a backward pass: 6 for each number of a matrix and row that
// meets it, and the attention (two products forward, four backward).
double batch_flops(const LlamaConfig& c, const TrainBatch& batch) {
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  const int64_t layer = c.hidden_size * (2 * q + 2 * kv + 3 * c.intermediate_size);
  double flops =
      6.0 * static_cast<double>(c.num_hidden_layers * layer) * static_cast<double>(batch.tokens.size()) +
      6.0 * static_cast<double>(c.vocab_size * c.hidden_size) * static_cast<double>(batch.out_rows.size());
  for (size_t s = 0; s + 1 < batch.seq_begin.size(); ++s) {
    const double n = batch.seq_begin[s + 1] - batch.seq_begin[s];
    flops += 6.0 * static_cast<double>(c.num_hidden_layers * q) * n * (n + 1);
  }
  return flops;
}

struct StepResult {
  double loss = 0, grad_norm = 0, flops = 0;
  int64_t tokens = 0;
};

struct Evaluation {
  double loss = 0, bits_per_byte = 0;
};

class Trainer {
 public:
  static Result<Trainer> open(const Path& job_file);
  Result<TrainOutcome> run();

 private:
  Trainer(TrainJob job, TrainFiles files, LockFile lock)
      : job_(std::move(job)), files_(std::move(files)), lock_(std::move(lock)) {}

  Status load_data();
  Status make_model();
  Status resume();
  Status write_start();
  Result<TrainOutcome> loop();
  Result<StepResult> step(double lr);
  std::vector<TrainBatch> step_batches();
  int64_t steps_of_an_epoch();
  Status save_last();
  Status evaluate();
  Result<Evaluation> score(TorchLlama& model) const;
  Status finish(const char* status);
  double elapsed() const { return state_.elapsed + (steady_seconds() - started_); }
  bool due(int64_t every) const { return every > 0 && state_.step % every == 0 && state_.step > 0; }
  bool over() const;

  TrainJob job_;
  TrainFiles files_;
  LockFile lock_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Examples> train_, validation_;
  std::vector<int32_t> token_bytes_;
  std::optional<TorchLlama> model_;
  std::optional<AdamW> optimiser_;
  std::optional<Batches> batches_;
  std::optional<EventLog> events_;
  TrainState state_;
  bool bf16_ = false;
  int n_threads_ = 1;
  double peak_flops_ = 0, started_ = 0;
  int64_t evaluated_step_ = -1, saved_step_ = -1;
};

Result<Trainer> Trainer::open(const Path& job_file) {
  TrainJob job = TRY(load_train_job(job_file));
  const Path folder = std::filesystem::absolute(job_file).parent_path();
  LockFile lock = TRY(LockFile::acquire(folder / "train.lock"));
  return Trainer(std::move(job), {folder}, std::move(lock));
}

Status Trainer::load_data() {
  tokenizer_ = TRY(load_tokenizer(job_.tokenizer));
  for (int32_t id = 0; id < tokenizer_->n_vocab(); ++id)
    token_bytes_.push_back(
        tokenizer_->is_special(id) ? 0 : static_cast<int32_t>(tokenizer_->token_bytes(id).size()));
  return {};
}

Status Trainer::make_model() {
  const LlamaConfig config = TRY(starting_config(job_, *tokenizer_));
  if (job_.objective == TrainJob::Objective::kPretrain) {
    train_ = TRY(shard_examples(job_.train_shard, config.vocab_size));
    if (!job_.validation_shard.empty())
      validation_ = TRY(shard_examples(job_.validation_shard, config.vocab_size));
  } else {
    const ChatTemplate chat_template = TRY(chat_template_of(job_));
    train_ = TRY(row_examples(job_.train_rows, *tokenizer_, chat_template));
    if (!job_.validation_rows.empty())
      validation_ = TRY(row_examples(job_.validation_rows, *tokenizer_, chat_template));
  }
  if (train_->n_targets() == 0)
    return fail(ErrorCode::kInvalidArgument,
                "expected something to learn (documents of two ids or more, answers of the assistant), got "
                "none")
        .at((job_.train_shard.empty() ? job_.train_rows : job_.train_shard).string());
  if (validation_ && validation_->n_targets() == 0) {
    log_warning("the validation set is empty: training without evaluation");
    validation_.reset();
  }
  bf16_ = job_.dtype != "f32" && torch_has_bf16();
  if (job_.dtype == "bf16" && !bf16_)
    log_warning("this processor has no bf16 arithmetic (AVX512_BF16): training in f32");
  model_ = TRY(TorchLlama::create(config, bf16_));
  TRY(fill_starting_weights(job_, *model_));
  optimiser_.emplace(*model_);
  // Micro batches of one size that together are a step.
  const int64_t parts = (job_.tokens_per_step + job_.micro_batch_tokens - 1) / job_.micro_batch_tokens;
  int64_t rows = (job_.tokens_per_step + parts - 1) / parts;
  if (!train_->may_cut()) rows = std::max(rows, job_.max_seq_len);
  const BatchOptions options{job_.max_seq_len, rows, true, job_.seed};
  batches_.emplace(*train_, options);
  if (job_.epochs > 0) {
    job_.steps = std::max<int64_t>(1, std::llround(job_.epochs * static_cast<double>(steps_of_an_epoch())));
    job_.warmup_steps = std::min(job_.warmup_steps, job_.steps / 10);
    batches_.emplace(*train_, options);
  }
  return {};
}

Status Trainer::resume() {
  if (std::filesystem::exists(files_.last())) {
    state_ = TRY(load_checkpoint(files_.last(), *model_, &*optimiser_, job_.digest()));
    batches_->seek(state_.cursor);
    log_info("going on after step {} of {}", state_.step, job_.steps);
  }
  events_.emplace(TRY(EventLog::open(files_.events(), state_.step)));
  return {};
}

Status Trainer::write_start() {
  peak_flops_ = TRY(torch_peak_flops(bf16_));
  JsonObject event{{"type", state_.step == 0 ? "start" : "resume"},
                   {"step", state_.step},
                   {"time", now_iso8601()},
                   {"objective", job_.objective == TrainJob::Objective::kSft ? "sft" : "pretrain"},
                   {"n_parameters", model_->config().n_parameters()},
                   {"train_documents", train_->size()},
                   {"train_tokens", train_->n_targets()},
                   {"validation_tokens", validation_ ? validation_->n_targets() : 0},
                   {"steps", job_.steps},
                   {"tokens_per_step", job_.tokens_per_step},
                   {"max_seconds", job_.max_seconds},
                   {"dtype", bf16_ ? "bf16" : "f32"},
                   {"instructions", torch_isa()},
                   {"n_threads", n_threads_},
                   {"peak_gflops", std::round(peak_flops_ / 1e9)},
                   {"config", model_->config().to_json()},
                   {"job", job_.source}};
  log_info("{} parameters, {} tokens to learn from, {} on {} threads ({} GFLOP/s at best)",
           format_count(static_cast<uint64_t>(model_->config().n_parameters())),
           format_count(train_->n_targets()), bf16_ ? "bf16" : "f32", n_threads_,
           static_cast<int64_t>(peak_flops_ / 1e9));
  return events_->write(event);
}

bool Trainer::over() const {
  if (job_.patience > 0 && state_.evaluations_without_progress >= job_.patience) return true;
  if (state_.step >= job_.steps) return true;
  return job_.max_seconds > 0 && elapsed() >= job_.max_seconds &&
         !events_->replayed().contains(state_.step + 1);
}

int64_t Trainer::steps_of_an_epoch() {
  if (train_->may_cut()) return (static_cast<int64_t>(train_->n_targets()) - 1) / job_.tokens_per_step + 1;
  int64_t steps = 0;
  do {
    step_batches();
    ++steps;
  } while (batches_->cursor().index < train_->size());
  return steps;
}

std::vector<TrainBatch> Trainer::step_batches() {
  std::vector<TrainBatch> parts;
  int64_t rows = 0;
  do {
    parts.push_back(batches_->next());
    rows += parts.back().n_real;
    if (!train_->may_cut() && batches_->cursor().index == train_->size())
      break;  // a step ends with the epoch
  } while (rows < job_.tokens_per_step);
  return parts;
}

Result<StepResult> Trainer::step(double lr) {
  StepResult result;
  std::vector<TrainBatch> parts;
  double weight = 0;
  for (int tries = 0; weight <= 0; ++tries) {
    if (tries == kMaxEmptySteps)
      return fail(ErrorCode::kInvalidArgument,
                  "nothing to learn within max_seq_len {}: the answers come later than that in every row",
                  job_.max_seq_len);
    parts = step_batches();
    for (const TrainBatch& part : parts) weight += part.weight();
  }
  for (const TrainBatch& part : parts) {
    if (part.out_rows.empty()) continue;
    result.loss += TRY(
        model_->loss_and_gradient(part.view(), part.targets, part.weights, static_cast<float>(1.0 / weight)));
    result.tokens += part.n_real;
    result.flops += batch_flops(model_->config(), part);
  }
  result.loss /= weight;
  result.grad_norm = AdamW::gradient_norm(*model_);
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm))
    return fail(
        ErrorCode::kInvalidArgument,
        "the loss is no longer a number (loss {}, gradient norm {}) at step {}; a smaller lr (now {:.3g}) or "
        "more warmup_steps helps; the last checkpoint is kept",
        result.loss, result.grad_norm, state_.step + 1, lr);
  const double scale =
      job_.grad_clip > 0 && result.grad_norm > job_.grad_clip ? job_.grad_clip / result.grad_norm : 1.0;
  optimiser_->step(*model_, job_, state_.step, lr, scale);
  return result;
}

Status Trainer::save_last() {
  if (saved_step_ == state_.step) return {};
  TrainState saved = state_;
  saved.elapsed = elapsed();
  TRY(save_checkpoint(files_.last(), *model_, &*optimiser_, saved, job_.digest()));
  saved_step_ = state_.step;
  return events_->write({{"type", "checkpoint"}, {"step", state_.step}, {"best", false}});
}

Result<Evaluation> Trainer::score(TorchLlama& model) const {
  Batches batches(*validation_,
                  {job_.max_seq_len, std::max(job_.micro_batch_tokens, job_.max_seq_len), false, 0});
  double loss = 0, weight = 0, bytes = 0;
  for (int64_t rows = 0; rows < job_.evaluate_tokens;) {
    const TrainBatch batch = batches.next();
    if (batch.n_real == 0) break;
    rows += batch.n_real;
    if (batch.out_rows.empty()) continue;
    loss += TRY(model.loss(batch.view(), batch.targets, batch.weights));
    weight += batch.weight();
    for (size_t i = 0; i < batch.targets.size(); ++i) {
      const auto id = static_cast<size_t>(batch.targets[i]);
      if (id < token_bytes_.size()) bytes += static_cast<double>(batch.weights[i]) * token_bytes_[id];
    }
  }
  if (weight <= 0)
    return fail(ErrorCode::kInvalidArgument, "nothing to evaluate within max_seq_len {}", job_.max_seq_len);
  return Evaluation{loss / weight, bytes > 0 ? loss / std::numbers::ln2 / bytes : 0};
}

Status Trainer::evaluate() {
  if (!validation_ || evaluated_step_ == state_.step) return {};
  const Evaluation result = TRY(score(*model_));
  evaluated_step_ = state_.step;
  TRY(events_->write({{"type", "eval"},
                      {"step", state_.step},
                      {"loss", result.loss},
                      {"bits_per_byte", result.bits_per_byte},
                      {"seconds", elapsed()}}));
  if (!(result.loss < state_.best_loss)) {
    ++state_.evaluations_without_progress;
    return {};
  }
  state_.best_loss = result.loss;
  state_.best_step = state_.step;
  state_.evaluations_without_progress = 0;
  TRY(save_checkpoint(files_.best(), *model_, nullptr, state_, job_.digest()));
  return events_->write({{"type", "checkpoint"}, {"step", state_.step}, {"best", true}});
}

Result<TrainOutcome> Trainer::loop() {
  Progress progress("train", 0, "tokens");
  const uint64_t tokens_before = state_.tokens;
  started_ = steady_seconds();
  while (!over()) {
    // The checkpoint comes before the evaluation: whatever happens there, nothing is lost.
    if (due(job_.checkpoint_every) || due(job_.evaluate_every)) TRY(save_last());
    if (due(job_.evaluate_every)) TRY(evaluate());
    if (over()) break;
    if (stop_requested()) {
      TRY(save_last());
      progress.finish("stopped; the same command goes on from here");
      return TrainOutcome::kStopped;
    }
    const double begin = steady_seconds();
    const auto replay = events_->replayed().find(state_.step + 1);
    const double done =
        replay != events_->replayed().end() ? replay->second : train_progress(job_, state_.step, elapsed());
    const double lr = learning_rate(job_, state_.step, done);
    const StepResult result = TRY(step(lr));
    ++state_.step;
    state_.tokens += static_cast<uint64_t>(result.tokens);
    state_.cursor = batches_->cursor();
    const double seconds = steady_seconds() - begin;
    TRY(events_->write({{"type", "step"},
                        {"step", state_.step},
                        {"loss", result.loss},
                        {"lr", lr},
                        {"grad_norm", result.grad_norm},
                        {"tokens", state_.tokens},
                        {"tokens_per_second", static_cast<double>(result.tokens) / seconds},
                        {"mfu", result.flops / seconds / peak_flops_},
                        {"rss_mb", resident_mb()},
                        {"seconds", elapsed()},
                        {"progress", done}}));
    const double now_done = train_progress(job_, state_.step, elapsed());
    const uint64_t here = state_.tokens - tokens_before;
    const double left = now_done > 0 ? (1 - now_done) / now_done * static_cast<double>(state_.tokens) : 0;
    progress.set_total(here + static_cast<uint64_t>(left));
    progress.update(here, fmt::format("step {} of {}  loss {:.4f}", state_.step, job_.steps, result.loss));
  }
  TRY(save_last());
  TRY(evaluate());
  progress.finish(validation_ ? fmt::format("best loss {:.4f} at step {}", state_.best_loss, state_.best_step)
                              : "");
  return TrainOutcome::kFinished;
}

Status Trainer::finish(const char* status) {
  const double seconds = elapsed();
  if (std::string_view(status) == "finished") {
    int64_t step = state_.step;
    if (job_.finish_with == "best" && validation_ && std::filesystem::exists(files_.best())) {
      TRY(load_checkpoint(files_.best(), *model_, nullptr, job_.digest()));
      step = state_.best_step;
    }
    TRY(write_model_folder(files_.model(), job_, *model_, *tokenizer_));
    log_info("wrote {} (weights of step {})", files_.model().string(), step);
  }
  return events_->write({{"type", "end"}, {"status", status}, {"step", state_.step}, {"seconds", seconds}});
}

Result<TrainOutcome> Trainer::run() {
  if (std::filesystem::exists(files_.model() / "model.safetensors")) {
    log_info("{} is finished already", files_.model().string());
    return TrainOutcome::kFinished;
  }
  n_threads_ = prepare_torch(job_.n_threads);
  TRY(load_data());
  TRY(make_model());
  TRY(resume());
  TRY(write_start());
  auto outcome = loop();
  if (!outcome) {
    (void)events_->write({{"type", "end"},
                          {"status", "failed"},
                          {"step", state_.step},
                          {"seconds", elapsed()},
                          {"error", outcome.error().to_string()}});
    return outcome;
  }
  TRY(finish(*outcome == TrainOutcome::kFinished ? "finished" : "stopped"));
  return outcome;
}

}  // namespace

Result<TrainOutcome> run_training(const Path& job_file) {
  Trainer trainer = TRY(Trainer::open(job_file));
  return trainer.run();
}

}  // namespace volant
