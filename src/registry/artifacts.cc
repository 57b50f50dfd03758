#include "registry/artifacts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/clock.h"

namespace volant {
namespace {

namespace fs = std::filesystem;

Status sync_one(const Path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(ErrorCode::kIo, "cannot open for syncing: {}", std::strerror(errno)).at(path.string());
  const int failed = ::fsync(fd);
  const int reason = errno;
  ::close(fd);
  if (failed != 0)
    return fail(ErrorCode::kIo, "cannot write to disk: {}", std::strerror(reason)).at(path.string());
  return {};
}

struct Tree {
  uint64_t bytes = 0;
  std::vector<Path> paths;  // files and folders, without links
};

Result<Tree> walk(const Path& root) {
  Tree tree;
  std::error_code error;
  tree.paths.push_back(root);
  if (fs::is_regular_file(root, error)) {
    tree.bytes = TRY(volant::file_size(root));
    return tree;
  }
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    if (it->is_symlink(error)) continue;
    tree.paths.push_back(it->path());
    if (it->is_regular_file(error)) tree.bytes += TRY(volant::file_size(it->path()));
  }
  if (error) return fail(ErrorCode::kIo, "cannot list the folder: {}", error.message()).at(root.string());
  return tree;
}

Artifact artifact_of(const SqlRow& row) {
  return {row.text(0), row.text(1), static_cast<uint64_t>(row.integer(2)), row.text(3)};
}

}  // namespace

Result<Artifact> put_artifact(Registry& registry, const Path& built, const std::string& kind) {
  const Tree tree = TRY(walk(built));
  const std::string digest = TRY(digest_of(built));
  const Path home = registry.artifacts_dir() / digest;
  Database& database = registry.database();
  const auto known = TRY(database.query_one("SELECT name FROM artifacts WHERE digest = ?", {digest}));
  std::error_code error;
  if (known && fs::exists(home / known->text(0), error)) {
    TRY(volant::remove_all(built));
    return find_artifact(registry, digest);
  }
  for (const Path& path : tree.paths) TRY(sync_one(path));
  // The folder of the digest appears whole, in one rename;
  // one that a killed process left unrecorded is replaced.
  const std::string name = built.filename().string();
  const Path staged = partial_path(registry.tmp_dir() / digest);
  TRY(make_dirs(staged));
  fs::rename(built, staged / name, error);
  if (error) {
    return fail(ErrorCode::kIo, "cannot move the artifact into place: {}", error.message())
        .at(built.string());
  }
  TRY(sync_one(staged));
  TRY(volant::remove_all(home));
  TRY(rename_into_place(staged, home));
  Transaction transaction = TRY(Transaction::begin(database));
  TRY(
      database.execute("INSERT INTO artifacts (digest, kind, name, bytes, created_at) VALUES (?, ?, ?, ?, ?) "
                       "ON CONFLICT (digest) DO UPDATE SET name = excluded.name",
                       {digest, kind, name, static_cast<int64_t>(tree.bytes), now_iso8601()}));
  TRY(transaction.commit());
  return find_artifact(registry, digest);
}

Result<Artifact> find_artifact(Registry& registry, const std::string& digest) {
  const auto row = TRY(registry.database().query_one(
      "SELECT digest, kind, bytes, created_at FROM artifacts WHERE digest = ?", {digest}));
  if (!row) return fail(ErrorCode::kNotFound, "no artifact '{}' in the registry", digest);
  return artifact_of(*row);
}

Result<Path> artifact_path(Registry& registry, const std::string& digest) {
  const auto row =
      TRY(registry.database().query_one("SELECT name FROM artifacts WHERE digest = ?", {digest}));
  if (!row) return fail(ErrorCode::kNotFound, "no artifact '{}' in the registry", digest);
  const Path path = registry.artifacts_dir() / digest / row->text(0);
  std::error_code error;
  if (!fs::exists(path, error)) {
    return fail(ErrorCode::kNotFound,
                "the artifact is recorded but gone from disk; 'volant run' makes it again")
        .at(path.string());
  }
  return path;
}

}  // namespace volant
