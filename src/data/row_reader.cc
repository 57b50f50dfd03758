#include "data/row_reader.h"

#include <algorithm>

#include "io/jsonl.h"
#include "io/line_reader.h"

namespace volant {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// The elements of a JSON array as pieces of its text, each with the line it begins in. It only looks for
// where they end; whether they are JSON, their parser says.
class ArrayElements {
 public:
  explicit ArrayElements(std::string text) : text_(std::move(text)) { at_ = text_.find('[') + 1; }
  uint64_t line() const { return line_; }

  Result<std::optional<std::string_view>> next() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == ',' && any_) {
      ++at_;
      skip_space();
    } else if (any_ && at_ < text_.size() && text_[at_] != ']') {
      return fail(ErrorCode::kParse, "expected ',' or ']' after an element of the array");
    }
    if (at_ >= text_.size()) return fail(ErrorCode::kParse, "expected ']' at the end of the array");
    if (text_[at_] == ']') {
      if (text_.find_first_not_of(kSpace, at_ + 1) != std::string::npos)
        return fail(ErrorCode::kParse, "expected nothing after the array");
      return std::optional<std::string_view>();
    }
    any_ = true;
    line_ += count_lines(counted_, at_);
    counted_ = at_;
    const size_t begin = at_;
    at_ = end_of_element();
    return std::optional(std::string_view(text_).substr(begin, at_ - begin));
  }

 private:
  void skip_space() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }
  uint64_t count_lines(size_t begin, size_t end) const {
    return static_cast<uint64_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                                            text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
  }
  size_t end_of_element() const {
    int64_t depth = 0;
    bool quoted = false;
    for (size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quoted) {
        if (c == '\\') ++i;
        quoted = c != '"';
        continue;
      }
      if (c == '"') quoted = true;
      if (depth == 0 && (c == ',' || c == ']')) return i;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
    }
    return text_.size();
  }

  std::string text_;
  size_t at_ = 0, counted_ = 0;
  uint64_t line_ = 1;
  bool any_ = false;
};

Result<bool> begins_with_array(const Path& path) {
  const std::unique_ptr<ByteSource> source = TRY(open_byte_source(path));
  std::string head(4096, '\0');
  head.resize(TRY(source->read(head)));
  if (head.starts_with("\xEF\xBB\xBF")) head.erase(0, 3);
  const size_t first = head.find_first_not_of(kSpace);
  return first != std::string::npos && head[first] == '[';
}

}  // namespace

struct RowReader::State {
  Path path;
  RowLayout layout;
  std::optional<JsonlReader> lines;
  std::optional<ArrayElements> elements;
  std::vector<JsonObject> rows;  // of the source's last row, the first of them last
  uint64_t line() const { return lines ? lines->line() : elements->line(); }
  std::string place() const { return fmt::format("{}:{}", path.string(), line()); }

  Result<std::optional<Json>> next_source_row() {
    if (lines) return lines->next();
    auto element = elements->next();
    if (!element) return std::move(element).error().at(place());
    if (!*element) return std::optional<Json>();
    auto row = parse_json(**element);
    if (!row) return std::move(row).error().at(place());
    return std::optional(std::move(*row));
  }
};

RowReader::RowReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
RowReader::RowReader(RowReader&&) noexcept = default;
RowReader& RowReader::operator=(RowReader&&) noexcept = default;
RowReader::~RowReader() = default;

Result<RowReader> RowReader::open(const Path& path, const RowLayout& layout) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->layout = layout;
  if (path.filename().string().find(".jsonl") == std::string::npos && TRY(begins_with_array(path))) {
    state->elements.emplace(TRY(read_content(path)));
  } else {
    state->lines.emplace(TRY(JsonlReader::open(path)));
  }
  return RowReader(std::move(state));
}

Result<std::optional<JsonObject>> RowReader::next() {
  while (state_->rows.empty()) {
    const std::optional<Json> row = TRY(state_->next_source_row());
    if (!row) return std::optional<JsonObject>();
    auto rows = canonical_rows(*row, state_->layout);
    if (!rows) return std::move(rows).error().at(place());
    state_->rows = std::move(*rows);
    std::reverse(state_->rows.begin(), state_->rows.end());
  }
  std::optional<JsonObject> next(std::move(state_->rows.back()));
  state_->rows.pop_back();
  return next;
}

std::string RowReader::place() const { return state_->place(); }

}  // namespace volant
