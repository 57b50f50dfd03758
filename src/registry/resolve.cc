#include "registry/resolve.h"

#include "registry/versions.h"

namespace volant {

Result<Path> resolve_model(const Path& workspace, const std::string& path_or_version) {
  std::error_code error;
  const Path path = path_or_version;
  if (!path_or_version.empty() && std::filesystem::exists(path, error)) return path;
  const bool looks_like_path = path_or_version.find('/') != std::string::npos || path.has_extension();
  const bool has_registry = std::filesystem::exists(workspace / ".volant" / "volant.db", error);
  if (looks_like_path || !has_registry) {
    return fail(
        ErrorCode::kNotFound,
        "expected a Hugging Face folder, a GGUF file, or a version of a workspace; there is no file '{}'{}",
        path_or_version, has_registry ? "" : fmt::format(" and no workspace in '{}'", workspace.string()));
  }
  const auto registry = TRY(Registry::open(workspace));
  const ModelVersion version = TRY(find_version(*registry, path_or_version));
  return version_model_path(*registry, version);
}

}  // namespace volant
