// What each `volant improve` did, kept for the console and for the next one.
#pragma once
#include <optional>
#include <string>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct ImprovementRecord {
  std::string created_at, state, run_id;
  Json report;
};
Result<std::optional<ImprovementRecord>> latest_improvement(Registry& registry);
// Once for each run; a second time changes nothing.
Status record_improvement(Registry& registry, const std::string& run_id, const std::string& state,
                          const Json& report);

}  // namespace volant
