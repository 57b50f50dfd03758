#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "io/system_error.h"

namespace volant {
namespace {
constexpr size_t kBufferBytes = 256 << 10;

Status write_all(int fd, std::string_view bytes, const Path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}
}  // namespace

Result<AtomicFile> AtomicFile::create(const Path& path) {
  if (path.filename().empty())
    return fail(ErrorCode::kInvalidArgument, "expected a file name, got '{}'", path.string());
  if (path.has_parent_path()) TRY(make_dirs(path.parent_path()));
  AtomicFile file;
  file.path_ = path;
  file.partial_ = partial_path(path);
  file.fd_ = ::open(file.partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.fd_ < 0) return system_error(path, "create");
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept { *this = std::move(other); }

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  partial_ = std::move(other.partial_);
  buffer_ = std::move(other.buffer_);
  size_ = other.size_;
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  ::unlink(partial_.c_str());
}

Status AtomicFile::flush() {
  TRY(write_all(fd_, buffer_, path_));
  buffer_.clear();
  return {};
}

Status AtomicFile::write(std::string_view bytes) {
  CHECK(fd_ >= 0);
  size_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) TRY(flush());
  if (bytes.size() > kBufferBytes) return write_all(fd_, bytes, path_);
  buffer_ += bytes;
  return {};
}

Status AtomicFile::commit() {
  CHECK(fd_ >= 0);
  TRY(flush());
  if (::fsync(fd_) != 0) return system_error(path_, "sync");
  const int closed = ::close(std::exchange(fd_, -1));
  const int close_error = errno;
  if (closed != 0) {
    ::unlink(partial_.c_str());
    return system_error(path_, "close", close_error);
  }
  Status renamed = rename_into_place(partial_, path_);
  if (!renamed) ::unlink(partial_.c_str());
  return renamed;
}

}  // namespace volant
