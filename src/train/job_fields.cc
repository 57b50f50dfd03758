#include "train/job_fields.h"

namespace volant {

Status read_path(const Json& json, std::string_view key, const Path& folder, Path& path) {
  const std::string text = TRY(json_string_or(json, key, ""));
  if (!text.empty()) path = (folder / text).lexically_normal();
  return {};
}

}  // namespace volant
