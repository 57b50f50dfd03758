#include "wheel/plan.h"

namespace volant {

Result<std::vector<PlannedStage>> plan_stages(Workspace& workspace, bool cheap) {
  std::vector<PlannedStage> plan;
  Outputs outputs;
  bool complete = true;
  for (const Stage& stage : stages(workspace.config())) {
    PlannedStage planned{&stage, "", std::nullopt};
    if (complete) {
      planned.key = TRY(stage_key(stage, workspace, outputs, cheap));
      planned.record = TRY(find_record(workspace, stage.name, planned.key));
    }
    complete = planned.record.has_value();
    if (complete) outputs.insert(planned.record->outputs.begin(), planned.record->outputs.end());
    plan.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace volant
