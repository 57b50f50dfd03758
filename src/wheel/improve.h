// `volant improve`: corrections of users become a candidate,
// the candidate meets the gate, and is promoted or refused.
#pragma once
#include <functional>
#include <string>

#include "wheel/workspace.h"

namespace volant {

struct ImproveOptions {
  bool dry_run = false;                                  // say what would be learned, do nothing
  std::function<void(const std::string& line)> on_line;  // what it is doing, one line a step
};

// The report:
// {"state":"promoted|refused|nothing_to_do","summary":[sentences],"candidate","production_before",
// "production_after","rows":{"train","held_out","replay"},"corrections":{"train":{...},"held_out":{...}},"gate":{...}}.
Result<Json> improve(Workspace& workspace, const ImproveOptions& options);

}  // namespace volant
