// A run before its first step: the model and its size, the data, the checkpoint that it goes on from.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/log.h"
#include "base/progress.h"
#include "data/job_words.h"
#include "ops/torch/backend.h"
#include "train/model_folder.h"
#include "train/rank_gpu.h"
#include "train/trainer_run.h"

namespace volant {
namespace {

JsonObject memory_json(const TorchMemory& memory) {
  return {{"trained", memory.trained}, {"frozen", memory.frozen}, {"gradients", memory.gradients}};
}

// What computes on the host alone.
Status check_device(const TrainJob& job) {
  if (torch_backend() != TorchBackend::kCuda) return {};
  const auto refuse = [](std::string_view what) {
    return fail(ErrorCode::kUnsupported, "{} on the CPU alone: leave it out, or say 'device' \"cpu\"", what);
  };
  if (!changes_numbers_apart(job.optimizer)) return refuse("the optimizer '" + job.optimizer + "' computes");
  if (job.ema_decay > 0) return refuse("'ema_decay' computes");
  if (job.average_last > 0) return refuse("'average_last' computes");
  if (job.size_auto) return refuse("'model.size' is chosen");
  if (job.objective == TrainJob::Objective::kPredict) return refuse("the objective 'predict' trains");
  return {};
}

}  // namespace

// Of several processes on a machine each sees one GPU alone, its own: the first one for all that follows.
Status Trainer::choose_device() {
  const std::string device = TRY(json_string_or(Json(job_.source), "device", "cpu"));
  if (device != "cuda" || ranks_.size() == 1) {
    choose_torch_backend(TRY(backend_of_device(device)));
    return {};
  }
  if (!has_nccl())
    return fail(ErrorCode::kUnsupported,
                "'device' is \"cuda\" in {} processes, which need NCCL, and volant-train was built without: "
                "build it with a libtorch for CUDA that has it and the headers of both "
                "(-DVOLANT_LIBTORCH=FOLDER, CUDA_HOME, NCCL_HOME), train in one process, or say \"cpu\"",
                ranks_.size());
  const RankInfo info = TRY(rank_info());
  const std::string gpu = TRY(use_gpu_of_rank(info));
  auto backend = backend_of_device(device);
  if (!backend)
    return std::move(backend).error().at(
        fmt::format("process {} of {} on this machine, for which GPU '{}' is meant", info.local_rank,
                    info.local_size, gpu));
  choose_torch_backend(*backend);
  return {};
}

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
  if (job_.shard != "parameters") return {};
  const auto refuse_parts = [&](const std::string& what) {
    return fail(ErrorCode::kUnsupported,
                "{} needs whole weights in every process: expected 'shard' \"none\", \"optimizer\" or "
                "\"gradients\", got \"parameters\"",
                what);
  };
  if (!objective_->can_share_weights()) return refuse_parts("the objective '" + job_.objective_name() + "'");
  if (job_.ema_decay > 0) return refuse_parts("a moving average ('ema_decay')");
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
  TRY(check_device(job_));
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
    state_ = TRY(load_checkpoint(files_.last(), *model_, exchange_->kept(), slots(), job_.digest()));
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

}  // namespace volant
