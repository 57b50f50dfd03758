// Byte sources: a file as it is, gzip (RFC 1952, several members), zstd (RFC 8878, several frames).
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <vector>

#include "io/line_reader.h"
#include "io/system_error.h"

namespace volant {
namespace {

constexpr size_t kInputBytes = 128 << 10;
constexpr int kMaxZstdWindowLog = 27;  // 128 MiB, what `zstd -d` accepts without --long

class FileSource final : public ByteSource {
 public:
  FileSource(int fd, Path path) : fd_(fd), path_(std::move(path)) {}
  ~FileSource() override { ::close(fd_); }
  Result<size_t> read(std::span<char> to) override {
    while (true) {
      const ssize_t n = ::read(fd_, to.data(), to.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) return system_error(path_, "read");
    }
  }
  const Path& path() const { return path_; }

 private:
  int fd_;
  Path path_;
};

Error broken(const Path& path, const char* format, std::string_view reason) {
  return fail(ErrorCode::kParse, "the {} data is broken: {}", format, reason).at(path.string());
}
Error truncated(const Path& path, const char* format) {
  return fail(ErrorCode::kParse, "the {} data ends too early: the file is cut off", format).at(path.string());
}

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<FileSource> file) : file_(std::move(file)), input_(kInputBytes) {
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  ~GzipSource() override {
    if (ready_) inflateEnd(&stream_);
  }
  Result<size_t> read(std::span<char> to) override {
    if (!ready_) return fail(ErrorCode::kInternal, "zlib could not start");
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(to.size(), 1 << 30));
    const uInt room = stream_.avail_out;
    while (stream_.avail_out == room) {
      if (stream_.avail_in == 0) {
        const size_t n = TRY(file_->read(input_));
        if (n == 0 && between_members_) return size_t{0};
        if (n == 0) return truncated(file_->path(), "gzip");
        stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
        stream_.avail_in = static_cast<uInt>(n);
      }
      // Zeros after the last member are padding (gzip and tar write them).
      while (members_ > 0 && between_members_ && stream_.avail_in > 0 && *stream_.next_in == 0) {
        ++stream_.next_in;
        --stream_.avail_in;
      }
      if (stream_.avail_in == 0) continue;
      between_members_ = false;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        between_members_ = true;
        ++members_;
        inflateReset(&stream_);
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return broken(file_->path(), "gzip", stream_.msg != nullptr ? stream_.msg : "unknown error");
      }
    }
    return static_cast<size_t>(room - stream_.avail_out);
  }

 private:
  std::unique_ptr<FileSource> file_;
  std::vector<char> input_;
  z_stream stream_{};
  bool ready_ = false, between_members_ = false;
  uint64_t members_ = 0;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<FileSource> file)
      : file_(std::move(file)), bytes_(kInputBytes), context_(ZSTD_createDCtx()) {
    if (context_ != nullptr) ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }
  ~ZstdSource() override { ZSTD_freeDCtx(context_); }
  Result<size_t> read(std::span<char> to) override {
    if (context_ == nullptr) return fail(ErrorCode::kInternal, "zstd could not start");
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    while (out.pos == 0) {
      if (input_.pos == input_.size && !pending_output_) {
        const size_t n = TRY(file_->read(bytes_));
        if (n == 0 && frame_done_) return size_t{0};
        if (n == 0) return truncated(file_->path(), "zstd");
        input_ = {bytes_.data(), n, 0};
      }
      const size_t code = ZSTD_decompressStream(context_, &out, &input_);
      if (ZSTD_isError(code)) return broken(file_->path(), "zstd", ZSTD_getErrorName(code));
      frame_done_ = code == 0;
      pending_output_ = out.pos == out.size && !frame_done_;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<FileSource> file_;
  std::vector<char> bytes_;
  ZSTD_DCtx* context_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool frame_done_ = false, pending_output_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> open_byte_source(const Path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return fail(ErrorCode::kIo, "expected a file, got a folder").at(path.string());
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(path, "open");
  auto file = std::make_unique<FileSource>(fd, path);
  const std::string ending = path.extension().string();
  if (ending == ".gz") return std::unique_ptr<ByteSource>(std::make_unique<GzipSource>(std::move(file)));
  if (ending == ".zst") return std::unique_ptr<ByteSource>(std::make_unique<ZstdSource>(std::move(file)));
  return std::unique_ptr<ByteSource>(std::move(file));
}

Result<std::string> read_content(const Path& path, uint64_t max_bytes) {
  const std::unique_ptr<ByteSource> source = TRY(open_byte_source(path));
  std::string content;
  std::vector<char> piece(kInputBytes);
  while (true) {
    const size_t n = TRY(source->read(piece));
    if (n == 0) return content;
    if (content.size() + n > max_bytes) {
      return fail(ErrorCode::kLimit, "expected at most {} bytes of content, the file holds more", max_bytes)
          .at(path.string());
    }
    content.append(piece.data(), n);
  }
}

}  // namespace volant
