// Workspace: a folder with `volant.toml` and `.volant/`, its config and its registry.
#pragma once
#include <memory>
#include <string>

#include "io/lock_file.h"
#include "registry/registry.h"
#include "wheel/config.h"

namespace volant {

class Workspace {
 public:
  // kNotFound, saying `volant init`, when there is no volant.toml.
  static Result<std::unique_ptr<Workspace>> open(const Path& folder);
  // Writes a commented volant.toml; kAlreadyExists when there is one.
  static Status init(const Path& folder, const std::string& name);

  const Path& path() const { return path_; }
  const WorkspaceConfig& config() const { return config_; }
  Registry& registry() { return *registry_; }
  // One `run` or `improve` at a time; kConflict names the holder. Sweeps what a killed holder left behind.
  Result<LockFile> lock();

 private:
  Workspace(Path path, WorkspaceConfig config, std::unique_ptr<Registry> registry);
  Path path_;
  WorkspaceConfig config_;
  std::unique_ptr<Registry> registry_;
};

}  // namespace volant
