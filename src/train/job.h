// The job: everything that one training run is, from job.json.
// Unknown keys are errors that name the nearest key.
#pragma once
#include <optional>
#include <string>

#include "base/json.h"
#include "io/file.h"
#include "train/adapter_job.h"
#include "train/classify_job.h"
#include "train/distil_job.h"
#include "train/grpo_job.h"
#include "train/predict_job.h"
#include "train/preference_job.h"
#include "train/toy_arithmetic.h"

namespace volant {

struct TrainJob {
  // In the order of job_words("objective").
  enum class Objective { kPretrain, kSft, kPreference, kGrpo, kClassify, kEmbed, kRewardModel, kPredict };
  Objective objective = Objective::kPretrain;

  JsonObject model_config;  // Hugging Face fields; empty when init_from is named
  bool size_auto = false;   // of the model and of its training, for the budget; see train/size_auto.h
  double budget_seconds = 0;
  Path init_from;  // a model folder whose weights are the start
  Path tokenizer;  // folder with the tokenizer files; init_from when not named

  // Pretraining reads token shards, everything else rows; validation may be absent.
  Path train_shard, validation_shard, train_rows, validation_rows;
  Path test_shard, test_rows;  // looked at before the first step and after the last alone; may be absent

  // Rows made here in place of files: train_rows and validation_rows are then in the run's folder.
  std::optional<ToyArithmetic> toy_arithmetic;
  std::optional<SampledCorpus> sampled;  // shards likewise
  Path prompt_rows;  // of distillation from sequences: train_rows are the teacher's answers to these

  std::optional<DistilJob> distil;  // of pretraining and fine-tuning

  ClassifyJob classify;
  EmbedJob embed;
  PredictJob predict;
  AdapterJob trained;  // what of the model is trained

  GrpoJob grpo;
  PreferenceJob preference;

  uint64_t seed = 1;
  std::string dtype = "auto";      // auto | bf16 | f32: arithmetic of products; weights are f32 always
  std::string save_dtype = "f32";  // f32 | bf16 | f16: of the finished model
  int64_t max_seq_len = 256;
  int64_t tokens_per_step = 8192, micro_batch_tokens = 4096;
  int64_t steps = 400;
  double epochs = 0;       // passes over the data instead of steps
  double max_seconds = 0;  // 0: no limit; else the schedule ends by then however slow the machine is
  double lr = 1e-3, min_lr_ratio = 0.1;
  int64_t warmup_steps = 20;
  std::string optimizer = "adamw", schedule = "cosine";  // train/optimizer.h, train/schedule.h
  double momentum = 0.9;                                 // of sgd; of muon, 0.95 where nothing is said
  bool nesterov = false;
  int64_t step_every = 1000, plateau_patience = 2;  // of the schedules "step" and "plateau"
  double step_gamma = 0.5, plateau_factor = 0.5;
  double label_smoothing = 0, z_loss = 0, neftune_alpha = 0;  // see LossRows and Regularisers in ops/torch
  double ema_decay = 0;      // moving average of the weights, which is then evaluated and kept; 0: none
  int64_t average_last = 0;  // checkpoints whose mean the finished model is, with finish_with "average"
  double weight_decay = 0.1, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, grad_clip = 1;
  int64_t evaluate_every = 100, checkpoint_every = 100;  // 0: only at the end
  int64_t evaluate_tokens = 131072;                      // at most so many of the validation set at a time
  int64_t patience = 0;                 // evaluations without progress before the end; 0: never
  std::string finish_with = "best";     // best | last | average: which weights the finished model has
  double max_memory_gb = 0;             // what the run may need; 0: what is free
  int n_threads = 0;                    // of this process; 0: one for each core
  std::string shard = "none";           // what ranks keep a part of each, see train/exchange.h
  bool checkpoint_activations = false;  // see TorchOptions

  JsonObject source;  // as it was read
  Path folder;        // where it lies: that of the run

  bool has_test() const { return !test_shard.empty() || !test_rows.empty(); }
  // "sft"
  std::string objective_name() const;
  // What a checkpoint must agree with to go on from it.
  std::string digest() const;
};

// `folder`: what relative paths are relative to.
Result<TrainJob> parse_train_job(const Json& json, const Path& folder);
Result<TrainJob> load_train_job(const Path& file);

}  // namespace volant
