#include "wheel/workspace.h"

#include "base/clock.h"

namespace volant {
namespace {

namespace fs = std::filesystem;

// What a killed holder of the lock left: scratch folders, partial artifacts, runs that say they run.
Status sweep(Registry& registry) {
  std::error_code error;
  for (const Path& folder : {registry.tmp_dir(), registry.artifacts_dir()}) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().filename().string().find(".partial-") != std::string::npos) {
        TRY(volant::remove_all(entry.path()));
      }
    }
  }
  TRY(registry.database().execute(
      "UPDATE runs SET status = 'stopped', finished_at = ? WHERE status = 'running'", {now_iso8601()}));
  return {};
}

}  // namespace

Workspace::Workspace(Path path, WorkspaceConfig config, std::unique_ptr<Registry> registry)
    : path_(std::move(path)), config_(std::move(config)), registry_(std::move(registry)) {}

Result<std::unique_ptr<Workspace>> Workspace::open(const Path& folder) {
  std::error_code error;
  const Path absolute = fs::absolute(folder.empty() ? "." : folder, error).lexically_normal();
  const Path path = absolute.has_filename() ? absolute : absolute.parent_path();
  const Path file = path / "volant.toml";
  if (!fs::exists(file, error)) {
    return fail(ErrorCode::kNotFound,
                "expected a workspace with a volant.toml, there is none; make one with 'volant init {}'",
                folder.string())
        .at(path.string());
  }
  WorkspaceConfig config = TRY(load_config(file));
  auto registry = TRY(Registry::open(path));
  return std::unique_ptr<Workspace>(new Workspace(path, std::move(config), std::move(registry)));
}

Status Workspace::init(const Path& folder, const std::string& name) {
  const Path file = folder / "volant.toml";
  std::error_code error;
  if (fs::exists(file, error)) {
    return fail(ErrorCode::kAlreadyExists, "there is a workspace already; edit this file instead")
        .at(file.string());
  }
  TRY(make_dirs(folder));
  TRY(write_file_atomic(file, config_template(name)));
  if (!fs::exists(folder / ".gitignore", error)) TRY(write_file_atomic(folder / ".gitignore", ".volant/\n"));
  return {};
}

Result<LockFile> Workspace::lock() {
  auto lock = LockFile::acquire(registry_->state_dir() / "lock");
  if (!lock) {
    Error error = std::move(lock).error();
    if (error.code == ErrorCode::kConflict) {
      error.message = "another 'volant run' or 'volant improve' is at work here: " + error.message;
    }
    return error;
  }
  TRY(sweep(*registry_));
  return lock;
}

}  // namespace volant
