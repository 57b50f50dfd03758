// Registry: what a workspace has made and where it came from. Artifacts by digest,
// runs, stages, model versions with their aliases, lineage, answers and the audit
// log, in `.volant/volant.db`. Thread safe; several processes may use one workspace
// at once. The free functions of the other headers of this room take a Registry.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "store/database.h"

namespace volant {

class Registry {
 public:
  // `workspace` is the folder with `volant.toml`; creates `.volant/` and the database when they are missing.
  // kNotFound when `workspace` is no folder.
  static Result<std::unique_ptr<Registry>> open(const Path& workspace);

  Database& database() { return *database_; }
  const Path& workspace() const { return workspace_; }
  Path state_dir() const { return workspace_ / ".volant"; }
  Path artifacts_dir() const { return state_dir() / "artifacts"; }
  Path runs_dir() const { return state_dir() / "runs"; }
  Path tmp_dir() const { return state_dir() / "tmp"; }

 private:
  Registry(Path workspace, std::unique_ptr<Database> database);
  Path workspace_;
  std::unique_ptr<Database> database_;
};

}  // namespace volant
