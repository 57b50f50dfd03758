// From what a user types after --model to a path.
#pragma once
#include <string>

#include "io/file.h"

namespace volant {
// A path that exists, or "v3", "production", "candidate", "canary" in the registry of `workspace`.
// kNotFound says what was tried.
Result<Path> resolve_model(const Path& workspace, const std::string& path_or_version);
}  // namespace volant
