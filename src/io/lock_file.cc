#include "io/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/system_error.h"

namespace volant {

Result<LockFile> LockFile::acquire(const Path& path) {
  if (path.has_parent_path()) TRY(make_dirs(path.parent_path()));
  LockFile lock;
  lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock.fd_ < 0) return system_error(path, "open");
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(path, "lock");
    char pid[32] = {};
    const ssize_t n = ::pread(lock.fd_, pid, sizeof pid - 1, 0);
    const std::string holder(pid, n > 0 ? static_cast<size_t>(n) : 0);
    return fail(ErrorCode::kConflict, "process {} is using it; wait for it to end, or stop it",
                holder.empty() ? "?" : holder.substr(0, holder.find('\n')))
        .at(path.string());
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, pid.data(), pid.size(), 0) < 0) {
    return system_error(path, "write");
  }
  return lock;
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace volant
