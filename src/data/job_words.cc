#include "data/job_words.h"

#include <algorithm>

#include "base/check.h"
#include "base/json_fields.h"

namespace volant {
namespace {

struct Choices {
  std::string_view key;
  std::vector<std::string> words;
};

const std::vector<Choices>& all_choices() {
  static const std::vector<Choices> kAll = {
      {"objective",
       {"pretrain", "sft", "preference", "grpo", "classify", "embed", "reward_model", "predict"}},
      {"device", {"cpu", "cuda"}},
      {"dtype", {"auto", "bf16", "f32"}},
      {"save_dtype", {"f32", "bf16", "f16"}},
      {"finish_with", {"best", "last", "average"}},
      {"optimizer", {"adamw", "adam", "lion", "sgd", "adafactor", "muon"}},
      {"schedule", {"cosine", "linear", "constant", "step", "one_cycle", "plateau"}},
      {"shard", {"none", "optimizer", "gradients", "parameters"}},
      {"adapter.kind", {"lora", "rslora", "dora"}},
      {"adapter.start", {"nothing", "rounding"}},
      {"distil.from", {"logits", "sequences"}},
      {"embed.pooling", {"mean", "cls", "last"}},
      {"grpo.reward", {"exact_match", "arithmetic", "regex"}},
      {"predict.judge_by", {"loss", "accuracy"}},
      {"predict.loss", {"cross_entropy", "binary_cross_entropy", "mean_squared_error", "focal"}},
      {"preference.loss", {"dpo", "ipo", "kto", "orpo", "simpo"}}};
  return kAll;
}

// Of "adapter.kind", the job's object "adapter"; nullptr when there is none.
const Json* object_with(const Json& job, std::string_view key) {
  const size_t dot = key.find('.');
  return dot == std::string_view::npos ? &job : json_find(job, key.substr(0, dot));
}

}  // namespace

const std::vector<std::string>& job_keys() {
  static const std::vector<std::string> kKeys = {"adapter",
                                                 "average_last",
                                                 "beta1",
                                                 "beta2",
                                                 "budget_seconds",
                                                 "checkpoint_activations",
                                                 "checkpoint_every",
                                                 "classify",
                                                 "data",
                                                 "device",
                                                 "distil",
                                                 "dtype",
                                                 "ema_decay",
                                                 "embed",
                                                 "encoder",
                                                 "epochs",
                                                 "eps",
                                                 "evaluate_every",
                                                 "evaluate_tokens",
                                                 "finish_with",
                                                 "freeze",
                                                 "grad_clip",
                                                 "grpo",
                                                 "label_smoothing",
                                                 "lr",
                                                 "max_memory_gb",
                                                 "max_seconds",
                                                 "max_seq_len",
                                                 "micro_batch_tokens",
                                                 "min_lr_ratio",
                                                 "model",
                                                 "momentum",
                                                 "n_threads",
                                                 "neftune_alpha",
                                                 "nesterov",
                                                 "objective",
                                                 "optimizer",
                                                 "patience",
                                                 "plateau_factor",
                                                 "plateau_patience",
                                                 "predict",
                                                 "preference",
                                                 "save_dtype",
                                                 "schedule",
                                                 "seed",
                                                 "shard",
                                                 "step_every",
                                                 "step_gamma",
                                                 "steps",
                                                 "task",
                                                 "tokenizer",
                                                 "tokens_per_step",
                                                 "train_only",
                                                 "warmup_steps",
                                                 "weight_decay",
                                                 "z_loss"};
  return kKeys;
}

const std::vector<std::string>& predict_keys() {
  static const std::vector<std::string> keys = {
      "adversarial", "augment",  "batch_size", "class_weights", "focal_gamma", "gradient_noise",
      "input_noise", "judge_by", "l1",         "loss"};
  return keys;
}

const std::vector<std::string>& job_words(std::string_view key) {
  const auto found = std::ranges::find(all_choices(), key, &Choices::key);
  CHECK(found != all_choices().end());
  return found->words;
}

Status check_job_words(const Json& job) {
  if (!job.is_object()) return fail(ErrorCode::kParse, "expected a JSON object");
  TRY(check_keys(job.as_object(), job_keys(), ""));
  for (const Choices& choices : all_choices()) {
    const Json* object = object_with(job, choices.key);
    const std::string_view key = choices.key.substr(choices.key.rfind('.') + 1);
    if (object == nullptr || json_find(*object, key) == nullptr) continue;
    TRY(check_word(choices.key, TRY(json_string(*object, key)), choices.words));
  }
  return {};
}

}  // namespace volant
