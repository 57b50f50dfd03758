#include "train/job.h"

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "data/job_words.h"
#include "train/job_fields.h"

namespace volant {
namespace {

Status read_model(const Json& json, const Path& folder, TrainJob& job) {
  static const std::array<std::string, 3> kKeys = {"config", "init_from", "size"};
  const Json& model = *TRY(object_of(json, "model"));
  TRY(check_keys(model.as_object(), kKeys, " in 'model'"));
  TRY(read_path(model, "init_from", folder, job.init_from));
  if (const Json* config = json_find(model, "config"); config != nullptr && config->is_object())
    job.model_config = config->as_object();
  if (const std::string size = TRY(json_string_or(model, "size", "")); !size.empty()) {
    if (size != "auto")
      return fail(ErrorCode::kInvalidArgument, "'model.size': expected \"auto\", got '{}'", size);
    job.size_auto = true;
  }
  TRY(read_number(json, "budget_seconds", 0, 1e9, job.budget_seconds));
  if (job.size_auto != (job.budget_seconds > 0))
    return fail(ErrorCode::kInvalidArgument, "expected 'model.size' \"auto\" together with 'budget_seconds'");
  if (job.init_from.empty() == (job.model_config.empty() && !job.size_auto))
    return fail(
        ErrorCode::kInvalidArgument,
        "'model': expected either 'config' (Hugging Face fields), 'size' or 'init_from' (a model folder)");
  if (job.objective == TrainJob::Objective::kPredict) {
    if (!job.size_auto) return {};  // no tokenizer: its encoder reads
    return fail(ErrorCode::kUnsupported, "'model.size': no model of predictions is chosen automatically");
  }
  TRY(read_path(json, "tokenizer", folder, job.tokenizer));
  if (job.tokenizer.empty()) job.tokenizer = job.init_from;
  if (job.tokenizer.empty()) return fail(ErrorCode::kInvalidArgument, "expected 'tokenizer', a folder");
  return {};
}

Status read_data(const Json& json, const Path& folder, TrainJob& job) {
  static const std::array<std::string, 8> kKeys = {"sampled",         "train_shard",   "validation_shard",
                                                   "test_shard",      "train_rows",    "test_rows",
                                                   "validation_rows", "toy_arithmetic"};
  const Json& data = *TRY(object_of(json, "data"));
  TRY(check_keys(data.as_object(), kKeys, " in 'data'"));
  TRY(read_path(data, "train_shard", folder, job.train_shard));
  TRY(read_path(data, "validation_shard", folder, job.validation_shard));
  TRY(read_path(data, "train_rows", folder, job.train_rows));
  TRY(read_path(data, "validation_rows", folder, job.validation_rows));
  TRY(read_path(data, "test_shard", folder, job.test_shard));
  TRY(read_path(data, "test_rows", folder, job.test_rows));
  if (const Json* toy = json_find(data, "toy_arithmetic"); toy != nullptr) {
    if (!job.train_rows.empty() || !job.validation_rows.empty() || !job.test_rows.empty())
      return fail(ErrorCode::kInvalidArgument, "'data': expected either 'toy_arithmetic' or rows, got both");
    job.toy_arithmetic = TRY(parse_toy_arithmetic(*toy));
    job.train_rows = folder / "toy_train.jsonl";
    job.validation_rows = folder / "toy_validation.jsonl";
    if (job.toy_arithmetic->n_test > 0) job.test_rows = folder / "toy_test.jsonl";
  }
  if (const Json* sampled = json_find(data, "sampled"); sampled != nullptr) {
    if (!job.train_shard.empty() || !job.validation_shard.empty() || !job.test_shard.empty())
      return fail(ErrorCode::kInvalidArgument, "'data': expected either 'sampled' or shards, got both");
    job.sampled = TRY(parse_sampled_corpus(*sampled, folder));
    job.train_shard = folder / "sampled_train";
    if (job.sampled->n_validation > 0) job.validation_shard = folder / "sampled_validation";
    if (job.sampled->n_test > 0) job.test_shard = folder / "sampled_test";
  }
  const bool pretrain = job.objective == TrainJob::Objective::kPretrain;
  if ((pretrain ? job.train_shard : job.train_rows).empty())
    return fail(ErrorCode::kInvalidArgument, "'data': expected '{}' for this objective",
                pretrain ? "train_shard" : "train_rows");
  if ((pretrain ? job.test_shard : job.test_rows).empty() && job.has_test())
    return fail(ErrorCode::kInvalidArgument, "'data': expected '{}' for this objective",
                pretrain ? "test_shard" : "test_rows");
  return {};
}

Status read_schedule(const Json& json, TrainJob& job) {
  int64_t seed = 1, threads = 0;
  TRY(read_int(json, "seed", 0, INT64_MAX / 2, seed));
  job.seed = static_cast<uint64_t>(seed);
  TRY(read_int(json, "n_threads", 0, 1024, threads));
  job.n_threads = static_cast<int>(threads);
  TRY(read_int(json, "max_seq_len", 2, 1 << 17, job.max_seq_len));
  TRY(read_int(json, "tokens_per_step", 1, 1 << 26, job.tokens_per_step));
  TRY(read_int(json, "micro_batch_tokens", 1, 1 << 22, job.micro_batch_tokens));
  job.micro_batch_tokens = std::max(job.micro_batch_tokens, job.max_seq_len);
  TRY(read_int(json, "steps", 1, 1LL << 40, job.steps));
  TRY(read_number(json, "epochs", 0, 1e6, job.epochs));
  if (job.epochs > 0 && json_find(json, "steps") != nullptr)
    return fail(ErrorCode::kInvalidArgument, "expected either 'steps' or 'epochs', got both");
  TRY(read_number(json, "max_seconds", 0, 1e9, job.max_seconds));
  TRY(read_number(json, "max_memory_gb", 0, 1e6, job.max_memory_gb));
  TRY(read_number(json, "lr", 0, 10, job.lr));
  TRY(read_number(json, "min_lr_ratio", 0, 1, job.min_lr_ratio));
  TRY(read_int(json, "warmup_steps", 0, 1LL << 40, job.warmup_steps));
  TRY(read_number(json, "weight_decay", 0, 10, job.weight_decay));
  TRY(read_number(json, "beta1", 0, 0.99999, job.beta1));
  TRY(read_number(json, "beta2", 0, 0.9999999, job.beta2));
  TRY(read_number(json, "eps", 1e-20, 1, job.eps));
  TRY(read_number(json, "grad_clip", 0, 1e9, job.grad_clip));
  TRY(read_int(json, "evaluate_every", 0, 1LL << 40, job.evaluate_every));
  TRY(read_int(json, "evaluate_tokens", 1, 1LL << 40, job.evaluate_tokens));
  TRY(read_int(json, "checkpoint_every", 0, 1LL << 40, job.checkpoint_every));
  return read_int(json, "patience", 0, 1 << 20, job.patience);
}

// The object of one objective, which others refuse: what is not used is not ignored.
template <class Settings>
Status read_own(const Json& json, std::string_view key, bool used, Result<Settings> (*parse)(const Json&),
                Settings& settings) {
  if (json_find(json, key) == nullptr) return {};
  if (!used)
    return fail(ErrorCode::kInvalidArgument, "'{}' is of no use with this objective: leave it out", key);
  settings = TRY(parse(*TRY(object_of(json, key))));
  return {};
}

// What other objectives have no use for, and what this one has none for.
Status read_predict(const Json& json, const Path& folder, TrainJob& job) {
  const bool used = job.objective == TrainJob::Objective::kPredict;
  TRY(read_own(json, "predict", used, parse_predict_job, job.predict));
  const std::array<const char*, 2> needed = {"task", "encoder"};
  const std::array<const char*, 4> useless = {"tokenizer", "tokens_per_step", "max_seq_len",
                                              "budget_seconds"};
  for (const char* key : needed)
    if ((json_find(json, key) != nullptr) != used)
      return used ? fail(ErrorCode::kInvalidArgument, "expected '{}' with this objective", key)
                  : fail(ErrorCode::kInvalidArgument, "'{}' is of no use with this objective: leave it out",
                         key);
  if (!used) return {};
  for (const char* key : useless)
    if (json_find(json, key) != nullptr)
      return fail(ErrorCode::kInvalidArgument, "'{}' is of no use with this objective: leave it out", key);
  job.predict.task = TRY(json_string(json, "task"));
  return read_path(json, "encoder", folder, job.predict.encoder);
}

Status read_objectives(const Json& json, const Path& folder, TrainJob& job) {
  using Objective = TrainJob::Objective;
  if (const Json* distil = json_find(json, "distil"); distil != nullptr) {
    const bool sft = job.objective == Objective::kSft;
    if (!sft && job.objective != Objective::kPretrain)
      return fail(ErrorCode::kInvalidArgument, "'distil' is of no use with this objective: leave it out");
    job.distil = TRY(parse_distil_job(*distil, folder));
    if (job.distil->from == "sequences") {
      if (!sft) return fail(ErrorCode::kInvalidArgument, "'from': \"sequences\" needs the objective \"sft\"");
      job.prompt_rows = job.train_rows;
      job.train_rows = folder / "teacher_rows.jsonl";
    }
  }
  TRY(read_own(json, "preference", job.objective == Objective::kPreference, parse_preference_job,
               job.preference));
  TRY(read_own(json, "classify", job.objective == Objective::kClassify, parse_classify_job, job.classify));
  TRY(read_own(json, "embed", job.objective == Objective::kEmbed, parse_embed_job, job.embed));
  TRY(read_predict(json, folder, job));
  return read_own(json, "grpo", job.objective == Objective::kGrpo, parse_grpo_job, job.grpo);
}

Status read_optimizer(const Json& json, TrainJob& job) {
  TRY(read_word(json, "optimizer", job_words("optimizer"), job.optimizer));
  TRY(read_word(json, "schedule", job_words("schedule"), job.schedule));
  TRY(read_word(json, "shard", job_words("shard"), job.shard));
  job.checkpoint_activations = TRY(json_bool_or(json, "checkpoint_activations", false));
  if (job.optimizer == "muon") job.momentum = 0.95;
  TRY(read_number(json, "momentum", 0, 0.99999, job.momentum));
  job.nesterov = TRY(json_bool_or(json, "nesterov", job.nesterov));
  TRY(read_int(json, "step_every", 1, 1LL << 40, job.step_every));
  TRY(read_number(json, "step_gamma", 0, 1, job.step_gamma));
  TRY(read_int(json, "plateau_patience", 1, 1 << 20, job.plateau_patience));
  TRY(read_number(json, "plateau_factor", 0, 1, job.plateau_factor));
  TRY(read_number(json, "label_smoothing", 0, 0.99, job.label_smoothing));
  TRY(read_number(json, "z_loss", 0, 1, job.z_loss));
  TRY(read_number(json, "neftune_alpha", 0, 1000, job.neftune_alpha));
  TRY(read_number(json, "ema_decay", 0, 0.9999999, job.ema_decay));
  TRY(read_int(json, "average_last", 0, 1000, job.average_last));
  if ((job.finish_with == "average") != (job.average_last > 0))
    return fail(ErrorCode::kInvalidArgument,
                "expected 'finish_with': \"average\" together with 'average_last', a number of checkpoints");
  return {};
}

}  // namespace

std::string TrainJob::objective_name() const {
  return job_words("objective").at(static_cast<size_t>(objective));
}

std::string TrainJob::digest() const {
  JsonObject same = source;
  // Other machines may have more or less of these: a run may go on elsewhere.
  for (const char* key : {"device", "n_threads", "shard", "checkpoint_activations"}) same.erase(key);
  return sha256_hex(dump_json(same));
}

Result<TrainJob> parse_train_job(const Json& json, const Path& folder) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected a JSON object");
  TrainJob job;
  job.source = json.as_object();
  job.folder = folder;
  TRY(check_keys(job.source, job_keys(), ""));
  std::string objective = "pretrain";
  TRY(read_word(json, "objective", job_words("objective"), objective));
  job.objective = static_cast<TrainJob::Objective>(std::ranges::find(job_words("objective"), objective) -
                                                   job_words("objective").begin());
  std::string device = "cpu";  // the trainer's alone: what a process computes on is one for all
  TRY(read_word(json, "device", job_words("device"), device));
  TRY(read_word(json, "dtype", job_words("dtype"), job.dtype));
  TRY(read_word(json, "save_dtype", job_words("save_dtype"), job.save_dtype));
  TRY(read_word(json, "finish_with", job_words("finish_with"), job.finish_with));
  TRY(read_optimizer(json, job));
  TRY(read_model(json, folder, job));
  TRY(read_data(json, folder, job));
  TRY(read_objectives(json, folder, job));
  TRY(read_schedule(json, job));
  job.trained = TRY(parse_adapter_job(json));
  if (job.trained.adapter && job.init_from.empty())
    return fail(ErrorCode::kInvalidArgument, "'adapter' needs 'init_from': a model to stand beside");
  using Objective = TrainJob::Objective;
  if (job.trained.start_from_rounding &&
      (job.objective == Objective::kPreference || job.objective == Objective::kGrpo))
    return fail(
        ErrorCode::kInvalidArgument,
        "'start': \"rounding\" of 'adapter': this objective's reference is the base without the adapter, "
        "which would be the rounded one; leave it out");
  return job;
}

Result<TrainJob> load_train_job(const Path& file) {
  const std::string text = TRY(read_file(file));
  const auto load = [&]() -> Result<TrainJob> {
    return parse_train_job(TRY(parse_json(text)), std::filesystem::absolute(file).parent_path());
  };
  auto job = load();
  if (!job) return std::move(job).error().at(file.string());
  return job;
}

}  // namespace volant
