#include "data/row_spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace volant {
namespace {
constexpr size_t kBufferBytes = 1 << 20;
}

Result<RowSpool> RowSpool::create(const Path& path) {
  RowSpool spool;
  spool.path_ = path;
  spool.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (spool.file_ < 0) {
    return fail(ErrorCode::kIo, "cannot create a temporary file: {}", std::strerror(errno)).at(path.string());
  }
  return spool;
}

RowSpool::RowSpool(RowSpool&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      buffer_(std::move(other.buffer_)),
      offsets_(std::move(other.offsets_)) {}

RowSpool::~RowSpool() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(path_.c_str());
}

Status RowSpool::flush() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t n = ::write(file_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return fail(ErrorCode::kIo, "cannot write a temporary file: {}", std::strerror(errno))
          .at(path_.string());
    }
    done += static_cast<size_t>(n);
  }
  buffer_.clear();
  return {};
}

Status RowSpool::add(const Row& row) {
  const std::string line = dump_json(row_to_json(row, true));
  buffer_ += line;
  offsets_.push_back(offsets_.back() + line.size());
  return buffer_.size() < kBufferBytes ? Status() : flush();
}

Result<Row> RowSpool::row(uint64_t n) const {
  CHECK(n < size());
  std::string line(offsets_[n + 1] - offsets_[n], '\0');
  const uint64_t in_file = offsets_.back() - buffer_.size();
  if (offsets_[n] >= in_file) {
    line = buffer_.substr(offsets_[n] - in_file, line.size());
  } else {
    for (size_t done = 0; done < line.size();) {
      const ssize_t got =
          ::pread(file_, line.data() + done, line.size() - done, static_cast<off_t>(offsets_[n] + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        return fail(ErrorCode::kIo, "cannot read a temporary file: {}",
                    got < 0 ? std::strerror(errno) : "it was cut short")
            .at(path_.string());
      }
      done += static_cast<size_t>(got);
    }
  }
  return row_from_json(TRY(parse_json(line)));
}

}  // namespace volant
