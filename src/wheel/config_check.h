// What must hold between the values of volant.toml, beyond the range of each.
#pragma once
#include <optional>
#include <string>

#include "wheel/config.h"

namespace volant {
Status check_source(const SourceSection& source);
struct ConfigConflict {
  std::string section, message;
};
std::optional<ConfigConflict> find_conflict(const WorkspaceConfig& config);
}  // namespace volant
