#include "train/objective.h"

#include "train/objectives/language.h"

namespace volant {

Result<std::unique_ptr<Objective>> make_objective(const ObjectiveContext& context) {
  switch (context.job.objective) {
    case TrainJob::Objective::kPretrain:
    case TrainJob::Objective::kSft:
      break;
  }
  return make_language_objective(context);
}

}  // namespace volant
