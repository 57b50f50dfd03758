#include "wheel/pretrained.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "wheel/file_digests.h"

namespace volant {
namespace {

Path hub_cache() {
  if (const char* cache = std::getenv("HF_HUB_CACHE")) return cache;
  if (const char* home = std::getenv("HF_HOME")) return Path(home) / "hub";
  const char* home = std::getenv("HOME");
  return Path(home == nullptr ? "." : home) / ".cache" / "huggingface" / "hub";
}

// "name" or "owner/name", of letters, digits, '.', '_' and '-'.
bool is_id(const std::string& name) {
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.front() != '.' && std::ranges::all_of(part, [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
    });
  };
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return is_part(name);
  return is_part(std::string_view(name).substr(0, slash)) &&
         is_part(std::string_view(name).substr(slash + 1));
}

// The snapshot that refs/main names.
Path cached_snapshot(const std::string& id) {
  std::string folder = "models--" + id;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  const Path cached = hub_cache() / folder;
  auto revision = read_file(cached / "refs" / "main", 1 << 10);
  if (!revision) return {};
  revision->erase(std::remove_if(revision->begin(), revision->end(),
                                 [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) == 0; }),
                  revision->end());
  const Path snapshot = cached / "snapshots" / *revision;
  std::error_code error;
  return std::filesystem::exists(snapshot / "config.json", error) ? snapshot : Path();
}

}  // namespace

Result<Path> pretrained_folder(const Path& base, const std::string& path_or_id) {
  const Path folder = (base / path_or_id).lexically_normal();
  std::error_code error;
  if (std::filesystem::exists(folder, error)) return folder;
  if (is_id(path_or_id)) {
    if (const Path snapshot = cached_snapshot(path_or_id); !snapshot.empty()) return snapshot;
    return fail(
        ErrorCode::kNotFound,
        "expected a model's folder, or an id that has been downloaded, got '{}'; neither {} nor a snapshot in "
        "{} is there; 'hf download {}' fetches one",
        path_or_id, folder.string(), hub_cache().string(), path_or_id);
  }
  return fail(ErrorCode::kNotFound, "expected a model's folder").at(folder.string());
}

Result<Json> pretrained_settings(Workspace& workspace, const std::string& path_or_id, bool cheap) {
  const Path folder = TRY(pretrained_folder(workspace.path(), path_or_id));
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
