// The plan: which stages are done for the present files and settings, without doing any.
#pragma once
#include <vector>

#include "wheel/station.h"

namespace volant {

struct PlannedStage {
  const Stage* stage = nullptr;
  std::string key;                    // empty: not known before the stages above are done
  std::optional<StageRecord> record;  // of this key
};

// `cheap`: no big file is read; one that changed makes its stage stale.
Result<std::vector<PlannedStage>> plan_stages(Workspace& workspace, bool cheap);

}  // namespace volant
