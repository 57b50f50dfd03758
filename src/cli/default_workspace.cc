#include "cli/default_workspace.h"

#include <filesystem>
#include <vector>

namespace volant::cli {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxFolders = 1000;  // looked at below the current one

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<fs::path> folders_in(const fs::path& parent) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (fs::directory_iterator entry(parent, ignored), end; entry != end && folders.size() < kMaxFolders;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(".") && entry->is_directory(ignored)) folders.push_back(entry->path());
  }
  return folders;
}

std::vector<fs::path> used_workspaces_below() {
  std::vector<fs::path> found;
  const auto keep = [&](const fs::path& folder) {
    if (is_there(folder / "volant.toml") && is_there(folder / ".volant"))
      found.push_back(folder.lexically_normal());
  };
  for (const fs::path& folder : folders_in(".")) {
    keep(folder);
    for (const fs::path& inner : folders_in(folder)) keep(inner);
  }
  return found;
}

std::string find() {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (error || is_there("volant.toml")) return ".";
  for (fs::path above = here.parent_path(); above != above.parent_path(); above = above.parent_path()) {
    if (is_there(above / "volant.toml")) return above.string();
  }
  const std::vector<fs::path> below = used_workspaces_below();
  return below.size() == 1 ? below.front().string() : ".";
}

}  // namespace

const std::string& default_workspace() {
  static const std::string folder = find();
  return folder;
}

}  // namespace volant::cli
