#include "registry/registry.h"

#include "store/schema.h"

namespace volant {

Registry::Registry(Path workspace, std::unique_ptr<Database> database)
    : workspace_(std::move(workspace)), database_(std::move(database)) {}

Result<std::unique_ptr<Registry>> Registry::open(const Path& workspace) {
  std::error_code error;
  if (!std::filesystem::is_directory(workspace, error)) {
    return fail(ErrorCode::kNotFound,
                "expected a workspace folder, there is none; make one with 'volant init {}'",
                workspace.string())
        .at(workspace.string());
  }
  const Path state = workspace / ".volant";
  for (const char* name : {"artifacts", "runs", "tmp"}) TRY(make_dirs(state / name));
  auto database = TRY(Database::open(state / "volant.db", workspace_schema()));
  return std::unique_ptr<Registry>(new Registry(workspace, std::move(database)));
}

}  // namespace volant
