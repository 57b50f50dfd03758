#include "train/objective.h"

#include "train/objectives/grpo.h"
#include "train/objectives/language.h"
#include "train/objectives/preference.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_objective(const ObjectiveContext& context) {
  const TrainJob& job = context.job;
  if (job.toy_arithmetic && !std::filesystem::exists(job.train_rows))
    TRY(write_toy_arithmetic(*job.toy_arithmetic, job.train_rows, job.validation_rows));
  switch (job.objective) {
    case TrainJob::Objective::kGrpo:
      return make_grpo_objective(context);
    case TrainJob::Objective::kPretrain:
    case TrainJob::Objective::kSft:
      break;
    case TrainJob::Objective::kPreference:
      return make_preference_objective(context);
  }
  return make_language_objective(context);
}

}  // namespace volant
