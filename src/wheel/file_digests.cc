#include "wheel/file_digests.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace volant {

Result<std::string> cached_digest(Registry& registry, const Path& file, bool cheap) {
  struct stat info = {};
  if (::stat(file.c_str(), &info) != 0) {
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot read the file: {}",
                std::strerror(errno))
        .at(file.string());
  }
  const int64_t bytes = info.st_size;
  const int64_t modified = static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
  const std::string path = file.string();
  const auto known = TRY(registry.database().query_one(
      "SELECT digest FROM file_digests WHERE path = ? AND bytes = ? AND modified_ns = ?",
      {path, bytes, modified}));
  if (known) return known->text(0);
  if (cheap) return fmt::format("changed {} {}", bytes, modified);
  const std::string digest = TRY(digest_of(file));
  TRY(registry.database().execute(
      "INSERT INTO file_digests (path, bytes, modified_ns, digest) VALUES (?, ?, ?, ?) "
      "ON CONFLICT (path) DO UPDATE SET "
      "bytes = excluded.bytes, modified_ns = excluded.modified_ns, digest = excluded.digest",
      {path, bytes, modified, digest}));
  return digest;
}

}  // namespace volant
