#include "io/line_reader.h"

#include <cstring>
#include <vector>

namespace volant {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Result<size_t> read(std::span<char> to) override {
    const size_t n = std::min(to.size(), text_.size() - at_);
    std::memcpy(to.data(), text_.data() + at_, n);
    at_ += n;
    return n;
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

}  // namespace

struct LineReader::State {
  std::unique_ptr<ByteSource> source;
  std::string name;
  LineReaderOptions options;
  std::vector<char> piece = std::vector<char>(kPieceBytes);
  size_t begin = 0, end = 0;  // what of `piece` is not yet given out
  std::string joined;         // a line that lies across pieces
  uint64_t line = 0, total = 0;
  bool ended = false;

  Error at_line(Error error) const { return std::move(error).at(fmt::format("{}:{}", name, line)); }

  // Reads the next piece; false at the end.
  Result<bool> fill() {
    begin = end = 0;
    Result<size_t> n = source->read(piece);
    if (!n) return std::move(n).error();
    total += *n;
    if (total > options.max_total_bytes) {
      return at_line(fail(ErrorCode::kLimit, "expected at most {} bytes of content, the file holds more",
                          options.max_total_bytes));
    }
    end = *n;
    return *n > 0;
  }

  std::string_view finish(std::string_view text) const {
    if (options.strip_carriage_return && !text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (line == 1 && text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
    return text;
  }
};

LineReader::LineReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

Result<LineReader> LineReader::open(const Path& path, const LineReaderOptions& options) {
  auto state = std::make_unique<State>();
  state->source = TRY(open_byte_source(path));
  state->name = path.string();
  state->options = options;
  return LineReader(std::move(state));
}

LineReader LineReader::from_text(std::string text, std::string name, const LineReaderOptions& options) {
  auto state = std::make_unique<State>();
  state->source = std::make_unique<TextSource>(std::move(text));
  state->name = std::move(name);
  state->options = options;
  return LineReader(std::move(state));
}

Result<std::optional<std::string_view>> LineReader::next() {
  State& s = *state_;
  if (s.ended) return std::optional<std::string_view>();
  s.joined.clear();
  bool started = false, too_long = false;
  ++s.line;
  while (true) {
    if (s.begin == s.end) {
      Result<bool> more = s.fill();
      if (!more || !*more) s.ended = true;
      if (!more) return std::move(more).error();
      if (s.ended) break;
    }
    const std::string_view rest(s.piece.data() + s.begin, s.end - s.begin);
    started = true;
    const size_t length = rest.find('\n');
    const std::string_view part = rest.substr(0, length);
    s.begin += part.size() + (length == std::string_view::npos ? 0 : 1);
    if (s.joined.size() + part.size() > s.options.max_line_bytes) {
      too_long = true;
      s.joined.clear();
    }
    if (length != std::string_view::npos && !too_long && s.joined.empty())
      return std::optional(s.finish(part));
    if (!too_long) s.joined += part;
    if (length != std::string_view::npos) break;
  }
  if (too_long) {
    return s.at_line(fail(ErrorCode::kLimit, "expected a line of at most {} bytes, got a longer one",
                          s.options.max_line_bytes));
  }
  if (s.ended && !started) {
    --s.line;
    return std::optional<std::string_view>();
  }
  return std::optional(s.finish(s.joined));
}

uint64_t LineReader::line() const { return state_->line; }
std::string LineReader::place() const { return fmt::format("{}:{}", state_->name, state_->line); }
const std::string& LineReader::name() const { return state_->name; }

}  // namespace volant
