#include "io/jsonl.h"

#include <zlib.h>
#include <zstd.h>

#include "io/atomic_file.h"
#include "io/line_reader.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRows = 4'000'000;  // of a file that is read whole
constexpr size_t kOutBytes = 128 << 10;
constexpr int kZstdLevel = 3;
constexpr size_t kFlushBytes = 256 << 10;

// Compresses what goes into an AtomicFile, by the ending of the file's name.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status write(std::string_view bytes) = 0;
  virtual Status finish() = 0;
};

class PlainSink final : public Sink {
 public:
  explicit PlainSink(AtomicFile file) : file_(std::move(file)) {}
  Status write(std::string_view bytes) override { return file_.write(bytes); }
  Status finish() override { return file_.commit(); }

 private:
  AtomicFile file_;
};

class GzipSink final : public Sink {
 public:
  explicit GzipSink(AtomicFile file) : file_(std::move(file)), out_(kOutBytes) {
    ready_ =
        deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~GzipSink() override {
    if (ready_) deflateEnd(&stream_);
  }
  Status write(std::string_view bytes) override { return compress(bytes, Z_NO_FLUSH); }
  Status finish() override {
    TRY(compress({}, Z_FINISH));
    return file_.commit();
  }

 private:
  Status compress(std::string_view bytes, int flush) {
    if (!ready_) return fail(ErrorCode::kInternal, "zlib could not start");
    while (true) {
      const size_t part = std::min<size_t>(bytes.size(), 1 << 30);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(part);
      int code = Z_OK;
      do {
        stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
        stream_.avail_out = static_cast<uInt>(out_.size());
        code = deflate(&stream_, flush);
        TRY(file_.write(std::string_view(out_.data(), out_.size() - stream_.avail_out)));
      } while (stream_.avail_out == 0 || (flush == Z_FINISH && code == Z_OK));
      bytes.remove_prefix(part);
      if (bytes.empty()) return {};
    }
  }
  AtomicFile file_;
  std::vector<char> out_;
  z_stream stream_{};
  bool ready_ = false;
};

class ZstdSink final : public Sink {
 public:
  explicit ZstdSink(AtomicFile file) : file_(std::move(file)), out_(kOutBytes), context_(ZSTD_createCCtx()) {
    if (context_ != nullptr) ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kZstdLevel);
    if (context_ != nullptr) ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  }
  ~ZstdSink() override { ZSTD_freeCCtx(context_); }
  Status write(std::string_view bytes) override { return compress(bytes, ZSTD_e_continue); }
  Status finish() override {
    TRY(compress({}, ZSTD_e_end));
    return file_.commit();
  }

 private:
  Status compress(std::string_view bytes, ZSTD_EndDirective end) {
    if (context_ == nullptr) return fail(ErrorCode::kInternal, "zstd could not start");
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const size_t left = ZSTD_compressStream2(context_, &out, &in, end);
      if (ZSTD_isError(left)) return fail(ErrorCode::kInternal, "zstd: {}", ZSTD_getErrorName(left));
      TRY(file_.write(std::string_view(out_.data(), out.pos)));
      if (end == ZSTD_e_end ? left == 0 : in.pos == in.size) return {};
    }
  }
  AtomicFile file_;
  std::vector<char> out_;
  ZSTD_CCtx* context_;
};

}  // namespace

struct JsonlReader::State {
  LineReader lines;
};

JsonlReader::JsonlReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonlReader::JsonlReader(JsonlReader&&) noexcept = default;
JsonlReader& JsonlReader::operator=(JsonlReader&&) noexcept = default;
JsonlReader::~JsonlReader() = default;

Result<JsonlReader> JsonlReader::open(const Path& path) {
  return JsonlReader(std::make_unique<State>(State{TRY(LineReader::open(path))}));
}

Result<std::optional<Json>> JsonlReader::next() {
  while (true) {
    const std::optional<std::string_view> line = TRY(state_->lines.next());
    if (!line) return std::optional<Json>();
    if (line->find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Result<Json> row = parse_json(*line);
    if (!row) return std::move(row).error().at(state_->lines.place());
    return std::optional<Json>(std::move(row).value());
  }
}

uint64_t JsonlReader::line() const { return state_->lines.line(); }

struct JsonlWriter::State {
  std::unique_ptr<Sink> sink;
  std::string pending;
};

JsonlWriter::JsonlWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonlWriter::JsonlWriter(JsonlWriter&&) noexcept = default;
JsonlWriter& JsonlWriter::operator=(JsonlWriter&&) noexcept = default;
JsonlWriter::~JsonlWriter() = default;

Result<JsonlWriter> JsonlWriter::create(const Path& path) {
  AtomicFile file = TRY(AtomicFile::create(path));
  auto state = std::make_unique<State>();
  const std::string ending = path.extension().string();
  if (ending == ".gz") {
    state->sink = std::make_unique<GzipSink>(std::move(file));
  } else if (ending == ".zst") {
    state->sink = std::make_unique<ZstdSink>(std::move(file));
  } else {
    state->sink = std::make_unique<PlainSink>(std::move(file));
  }
  return JsonlWriter(std::move(state));
}

Status JsonlWriter::write(const Json& row) {
  state_->pending += dump_json(row);
  state_->pending += '\n';
  if (state_->pending.size() < kFlushBytes) return {};
  TRY(state_->sink->write(state_->pending));
  state_->pending.clear();
  return {};
}

Status JsonlWriter::finish() {
  if (!state_->pending.empty()) TRY(state_->sink->write(state_->pending));
  state_->pending.clear();
  return state_->sink->finish();
}

Result<std::vector<Json>> read_jsonl(const Path& path) {
  JsonlReader reader = TRY(JsonlReader::open(path));
  std::vector<Json> rows;
  while (true) {
    std::optional<Json> row = TRY(reader.next());
    if (!row) return rows;
    if (rows.size() >= kMaxRows) {
      return fail(ErrorCode::kLimit, "expected at most {} rows in a file that is read whole", kMaxRows)
          .at(path.string());
    }
    rows.push_back(std::move(*row));
  }
}

}  // namespace volant
