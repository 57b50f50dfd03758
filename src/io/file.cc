#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/digest.h"
#include "base/random.h"
#include "io/atomic_file.h"
#include "io/system_error.h"

namespace volant {
namespace {

namespace fs = std::filesystem;

// A descriptor that closes itself.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Result<size_t> read_some(int fd, char* to, size_t n, const Path& path) {
  while (true) {
    const ssize_t got = ::read(fd, to, n);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return system_error(path, "read");
  }
}

Error code_error(const Path& path, std::string_view doing, const std::error_code& code) {
  return system_error(path, doing, code.value());
}

Status sync_parent(const Path& path) {
  const Path parent = path.has_parent_path() ? path.parent_path() : Path(".");
  const Descriptor folder{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.fd < 0) return system_error(parent, "open");
  // Some file systems cannot sync a folder; that is not a failure of the write.
  if (::fsync(folder.fd) != 0 && errno != EINVAL && errno != ENOTSUP) return system_error(parent, "sync");
  return {};
}

Result<std::string> digest_of_file(const Path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return system_error(path, "open");
  Sha256 digest;
  std::string buffer(1 << 20, '\0');
  while (true) {
    const size_t n = TRY(read_some(file.fd, buffer.data(), buffer.size(), path));
    if (n == 0) return digest.finish_hex();
    digest.update(std::string_view(buffer).substr(0, n));
  }
}

}  // namespace

Error system_error(const Path& path, std::string_view doing) { return system_error(path, doing, errno); }

Error system_error(const Path& path, std::string_view doing, int error_number) {
  ErrorCode code = ErrorCode::kIo;
  if (error_number == ENOENT || error_number == ENOTDIR) code = ErrorCode::kNotFound;
  if (error_number == EEXIST || error_number == ENOTEMPTY) code = ErrorCode::kAlreadyExists;
  const std::string reason = std::generic_category().message(error_number);
  const char* hint = error_number == ENOSPC || error_number == EDQUOT ? "; free some space and try again"
                     : error_number == EACCES                         ? "; check who owns it"
                                                                      : "";
  return fail(code, "cannot {}: {}{}", doing, reason, hint).at(path.string());
}

Result<std::string> read_file(const Path& path, uint64_t max_bytes) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return system_error(path, "open");
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return system_error(path, "read");
  if (S_ISDIR(info.st_mode)) return fail(ErrorCode::kIo, "expected a file, got a folder").at(path.string());
  const auto too_long = [&] {
    return fail(ErrorCode::kLimit, "expected at most {} bytes, the file is longer", max_bytes)
        .at(path.string());
  };
  const uint64_t expected = info.st_size > 0 ? static_cast<uint64_t>(info.st_size) : 0;
  if (expected > max_bytes) return too_long();
  std::string bytes;
  bytes.resize(expected + 1);  // one more, so that a file of its stated size ends in one more read
  size_t n = 0;
  while (true) {
    const size_t got = TRY(read_some(file.fd, bytes.data() + n, bytes.size() - n, path));
    n += got;
    if (n > max_bytes) return too_long();
    if (got == 0) break;
    if (n == bytes.size()) bytes.resize(bytes.size() * 2 + 4096);
  }
  bytes.resize(n);
  return bytes;
}

Status write_file_atomic(const Path& path, std::string_view bytes) {
  AtomicFile file = TRY(AtomicFile::create(path));
  TRY(file.write(bytes));
  return file.commit();
}

Status append_line(const Path& path, std::string_view line) {
  if (line.find('\n') != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "expected one line, got text with a line end").at(path.string());
  }
  if (path.has_parent_path()) TRY(make_dirs(path.parent_path()));
  const Descriptor file{::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)};
  if (file.fd < 0) return system_error(path, "open");
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return system_error(path, "read");
  std::string bytes;
  if (S_ISREG(info.st_mode) && info.st_size > 0) {
    // A crash can leave half a line at the end; the new one must not join it.
    char last = '\n';
    if (::pread(file.fd, &last, 1, info.st_size - 1) == 1 && last != '\n') bytes = "\n";
  }
  bytes += line;
  bytes += '\n';
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t n = ::write(file.fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "append");
    rest.remove_prefix(static_cast<size_t>(n));
  }
  if (::fsync(file.fd) != 0 && errno != EINVAL) return system_error(path, "sync");
  return {};
}

Status make_dirs(const Path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) return code_error(path, "create the folder", code);
  if (!fs::is_directory(path, code))
    return fail(ErrorCode::kIo, "expected a folder, got a file").at(path.string());
  return {};
}

Status remove_all(const Path& path) {
  std::error_code code;
  fs::remove_all(path, code);
  if (code) return code_error(path, "remove", code);
  return {};
}

Status rename_into_place(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error(to, "put the finished file there");
  return sync_parent(to);
}

Status copy_all(const Path& from, const Path& to) {
  std::error_code code;
  if (to.has_parent_path()) TRY(make_dirs(to.parent_path()));
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing, code);
  if (code) return code_error(from, "copy to " + to.string(), code);
  return {};
}

Result<uint64_t> file_size(const Path& path) {
  std::error_code code;
  const uintmax_t size = fs::file_size(path, code);
  if (code) return code_error(path, "read its size", code);
  return static_cast<uint64_t>(size);
}

Result<std::string> digest_of(const Path& path) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (!fs::exists(status))
    return code_error(path, "read", code ? code : std::make_error_code(std::errc::no_such_file_or_directory));
  if (!fs::is_directory(status)) return digest_of_file(path);
  std::vector<Path> files;
  fs::recursive_directory_iterator it(path, code);
  for (; !code && it != fs::recursive_directory_iterator(); it.increment(code)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) files.push_back(it->path());
  }
  if (code) return code_error(path, "read the folder", code);
  std::vector<std::string> names;
  for (const Path& file : files) names.push_back(file.lexically_relative(path).generic_string());
  std::sort(names.begin(), names.end());
  Sha256 digest;
  for (const std::string& name : names) {
    digest.update(name);
    digest.update(std::string_view("\0", 1));
    digest.update(TRY(digest_of_file(path / name)));
  }
  return digest.finish_hex();
}

Path partial_path(const Path& path) {
  const Path clean = path.has_filename() ? path : path.parent_path();
  // Names end at 255 bytes; the partial one needs room for its ending.
  const std::string name = clean.filename().string().substr(0, 200);
  return clean.parent_path() / fmt::format(".{}.partial-{}-{}", name, ::getpid(), secure_random_hex(4));
}

}  // namespace volant
