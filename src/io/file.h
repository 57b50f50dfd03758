// Files as a whole: read with a limit, write so that nobody ever sees half of one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

using Path = std::filesystem::path;

inline constexpr uint64_t kMaxTextFileBytes = 256ULL << 20;

// The bytes of a file. kNotFound, kIo, or kLimit when it is longer than `max_bytes`.
Result<std::string> read_file(const Path& path, uint64_t max_bytes = kMaxTextFileBytes);
// Writes aside, syncs, renames: `path` holds its old bytes or all of the new ones. Creates the parent folder.
Status write_file_atomic(const Path& path, std::string_view bytes);
// Appends one line and syncs it to disk.
Status append_line(const Path& path, std::string_view line);
// Creates a folder and its parents.
Status make_dirs(const Path& path);
// Removes a file or a whole folder; nothing to remove is fine.
Status remove_all(const Path& path);
// Renames a finished file or folder into place (same file system) and syncs the parent folder.
Status rename_into_place(const Path& from, const Path& to);
// Copies a file or folder tree.
Status copy_all(const Path& from, const Path& to);
Result<uint64_t> file_size(const Path& path);
// SHA-256 of a file's bytes, or of a folder: the names and digests of all its files in order.
Result<std::string> digest_of(const Path& path);
// Paths that match a shell pattern (`*`, `?`, `[..]`, `**` for any depth), sorted; files only.
Result<std::vector<Path>> glob(const std::string& pattern);
// A new file or folder name beside `path` that nobody else uses: ".name.partial-<pid>-<random>".
Path partial_path(const Path& path);

}  // namespace volant
