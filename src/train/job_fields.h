// Reading the fields of job.json: those of base/json_fields.h, and paths.
#pragma once
#include "base/json_fields.h"
#include "io/file.h"

namespace volant {

// Relative to `folder`. A field that is missing or empty leaves `path` as it was.
Status read_path(const Json& json, std::string_view key, const Path& folder, Path& path);

}  // namespace volant
