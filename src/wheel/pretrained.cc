#include "wheel/pretrained.h"

#include <algorithm>

#include "wheel/file_digests.h"
#include "wheel/hub_cache.h"
#include "wheel/hub_download.h"

namespace volant {
namespace {

// The folder of that name, or the cached snapshot; empty when there is neither.
Path find_pretrained(const Path& base, const std::string& path_or_id) {
  const Path folder = (base / path_or_id).lexically_normal();
  std::error_code error;
  if (std::filesystem::exists(folder, error)) return folder;
  return is_hub_id(path_or_id) ? cached_snapshot(path_or_id) : Path();
}

Error not_found(const Path& base, const std::string& path_or_id) {
  const std::string folder = (base / path_or_id).lexically_normal().string();
  if (!is_hub_id(path_or_id)) return fail(ErrorCode::kNotFound, "expected a model's folder").at(folder);
  return fail(
      ErrorCode::kNotFound,
      "expected a model's folder, or an id that has been downloaded, got '{}'; neither {} nor a whole "
      "snapshot in {} is there",
      path_or_id, folder, hub_cache().string());
}

}  // namespace

Result<Path> pretrained_folder(const Path& base, const std::string& path_or_id) {
  Path found = find_pretrained(base, path_or_id);
  if (found.empty()) return not_found(base, path_or_id);
  return found;
}

Result<Path> fetch_pretrained(const Path& base, const std::string& path_or_id) {
  Path found = find_pretrained(base, path_or_id);
  if (!found.empty()) return found;
  if (!is_hub_id(path_or_id)) return not_found(base, path_or_id);
  return download_model(path_or_id, hub_options());
}

Result<Json> pretrained_settings(Workspace& workspace, const std::string& path_or_id, bool cheap) {
  const Path folder = find_pretrained(workspace.path(), path_or_id);
  if (folder.empty() && is_hub_id(path_or_id)) return Json(JsonObject{{"init_from", path_or_id}});
  if (folder.empty()) return not_found(workspace.path(), path_or_id);
  std::vector<Path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  std::ranges::sort(files);
  JsonArray digests;
  for (const Path& file : files)
    digests.push_back(JsonArray{Json(file.filename().string()),
                                Json(TRY(cached_digest(workspace.registry(), file, cheap)))});
  return Json(JsonObject{{"init_from", folder.string()}, {"files", std::move(digests)}});
}

}  // namespace volant
