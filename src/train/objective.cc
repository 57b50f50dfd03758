#include "train/objective.h"

#include "base/digest.h"
#include "io/mapped_file.h"
#include "train/objectives/classify.h"
#include "train/objectives/embed.h"
#include "train/objectives/grpo.h"
#include "train/objectives/language.h"
#include "train/objectives/predict.h"
#include "train/objectives/preference.h"
#include "train/objectives/reward_model.h"
#include "train/objectives/source_target.h"
#include "train/teacher_data.h"
#include "train/train_state.h"

namespace volant {

namespace {

// What the run's own data are made from: other settings, or other prompts, make other data.
Result<std::string> origin_of_made_data(const TrainJob& job) {
  JsonObject origin{{"seed", job.seed}};
  for (const char* key : {"data", "distil"})
    if (const Json* given = json_find(job.source, key)) origin[key] = *given;
  if (!job.prompt_rows.empty()) {
    const MappedFile prompts = TRY(MappedFile::open(job.prompt_rows));
    const auto bytes = prompts.bytes();
    origin["prompts"] = sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  return dump_json_pretty(origin);
}

// What a run makes itself before it learns from it, once.
Status make_data(const TrainJob& job, const Tokenizer* tokenizer) {
  if (!job.toy_arithmetic && !job.sampled && job.prompt_rows.empty()) return {};
  const Path origin_file = job.folder / "made_from.json";
  const bool begun = std::filesystem::exists(TrainFiles{job.folder}.events());
  const std::string origin = begun ? "" : TRY(origin_of_made_data(job));
  const auto before = read_file(origin_file);
  const auto made = [keep = begun || (before && *before == origin)](const Path& file) {
    return keep && std::filesystem::exists(file);
  };
  if (job.toy_arithmetic && !made(job.train_rows))
    TRY(write_toy_arithmetic(*job.toy_arithmetic, job.train_rows, job.validation_rows, job.test_rows));
  if (job.sampled && tokenizer != nullptr && !made(Path(job.train_shard.string() + ".bin")))
    TRY(write_sampled_corpus(*job.sampled, *tokenizer, job.n_threads, job.train_shard, job.validation_shard,
                             job.test_shard));
  if (!job.prompt_rows.empty() && !made(job.train_rows))
    TRY(write_teacher_rows(*job.distil, job.seed, job.n_threads, job.prompt_rows, job.train_rows));
  return begun ? Status() : write_file_atomic(origin_file, origin);
}

// Settings that the loss of this objective does not have are refused, not ignored. The loss on next tokens
// has them all, unless a teacher's words take its place; 'preference' says so itself.
Status check_regularisers(const TrainJob& job) {
  using Objective = TrainJob::Objective;
  const bool next_tokens = job.objective == Objective::kPretrain || job.objective == Objective::kSft;
  const bool from_teacher = job.distil && job.distil->from == "logits";
  if ((next_tokens && !from_teacher) || job.objective == Objective::kPreference) return {};
  const auto refuse = [&](const char* key) {
    return fail(ErrorCode::kInvalidArgument, "'{}' is of no use with {}: leave it out", key,
                from_teacher ? "a teacher's probabilities" : "the objective '" + job.objective_name() + "'");
  };
  const bool has_labels = job.objective == Objective::kClassify || job.objective == Objective::kPredict;
  if (job.label_smoothing > 0 && !has_labels) return refuse("label_smoothing");
  if (job.z_loss > 0) return refuse("z_loss");
  if (job.neftune_alpha > 0) return refuse("neftune_alpha");
  return {};
}

}  // namespace

Result<std::unique_ptr<Objective>> make_objective(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  TRY(check_regularisers(job));
  TRY(make_data(job, context.tokenizer));
  switch (job.objective) {
    case TrainJob::Objective::kClassify:
      return make_classify_objective(context);
    case TrainJob::Objective::kEmbed:
      return make_embed_objective(context);
    case TrainJob::Objective::kRewardModel:
      return make_reward_model_objective(context);
    case TrainJob::Objective::kPredict:
      return make_predict_objective(context);
    case TrainJob::Objective::kGrpo:
      return make_grpo_objective(context);
    case TrainJob::Objective::kPretrain:
    case TrainJob::Objective::kSft:
      break;
    case TrainJob::Objective::kPreference:
      return make_preference_objective(context);
  }
  return context.config.has_source() ? make_source_target_objective(context)
                                     : make_language_objective(context);
}

}  // namespace volant
