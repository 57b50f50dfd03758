#include "io/csv.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/nearest.h"

namespace volant {
namespace {

constexpr size_t kLinesToLookAt = 20;
constexpr size_t kBytesToLookAt = 1 << 20;

// The separator that occurs equally often (outside quotes) in the most of the first lines;
// then the more frequent one.
char find_separator(const std::deque<std::string>& lines, char quote) {
  constexpr std::array<char, 3> kCandidates{',', ';', '\t'};
  char best = ',';
  size_t best_agreeing = 0, best_count = 0;
  for (const char candidate : kCandidates) {
    std::vector<size_t> counts;
    bool quoted = false;
    size_t count = 0;
    for (const std::string& line : lines) {
      for (const char c : line) {
        if (quote != 0 && c == quote) quoted = !quoted;
        if (c == candidate && !quoted) ++count;
      }
      if (quoted) continue;  // the record goes on in the next line
      counts.push_back(count);
      count = 0;
    }
    if (counts.empty() || counts[0] == 0) continue;
    const auto agreeing = static_cast<size_t>(std::count(counts.begin(), counts.end(), counts[0]));
    if (std::pair(agreeing, counts[0]) > std::pair(best_agreeing, best_count)) {
      best = candidate;
      best_agreeing = agreeing;
      best_count = counts[0];
    }
  }
  return best;
}

bool is_blank(std::string_view line) { return line.empty() || line == "\r"; }

}  // namespace

bool is_tsv(const Path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".tsv") || name.find(".tsv.") != std::string::npos || name.ends_with(".tab");
}

Result<CsvReader> CsvReader::open(const Path& path, const CsvOptions& options) {
  const LineReaderOptions lines{.max_line_bytes = options.max_record_bytes, .strip_carriage_return = false};
  return start(TRY(LineReader::open(path, lines)), options);
}

Result<CsvReader> CsvReader::from_text(std::string text, std::string name, const CsvOptions& options) {
  const LineReaderOptions lines{.max_line_bytes = options.max_record_bytes, .strip_carriage_return = false};
  return start(LineReader::from_text(std::move(text), std::move(name), lines), options);
}

Result<CsvReader> CsvReader::start(LineReader lines, const CsvOptions& options) {
  CsvReader reader(std::move(lines), options);
  if (options.separator == 0) {
    TRY(reader.look_ahead());
    reader.options_.separator = find_separator(reader.ahead_, options.quote);
  }
  if (!options.header) return reader;
  std::optional<CsvRecord> first = TRY(reader.read_record());
  if (!first) return reader;
  std::set<std::string> names;
  for (const std::string& name : first->fields) {
    if (!names.insert(name).second) {
      return reader.error_at(
          first->line,
          fail(ErrorCode::kParse, "expected columns of different names, '{}' comes twice", name));
    }
  }
  reader.header_ = std::move(first->fields);
  return reader;
}

Status CsvReader::look_ahead() {
  size_t bytes = 0;
  while (ahead_.size() < kLinesToLookAt && bytes < kBytesToLookAt) {
    const std::optional<std::string_view> line = TRY(lines_.next());
    if (!line) break;
    bytes += line->size();
    ahead_.emplace_back(*line);
  }
  return {};
}

Error CsvReader::error_at(uint64_t line, Error error) const {
  return std::move(error).at(fmt::format("{}:{}", lines_.name(), line));
}

// The next line into `line`; false at the end.
Result<bool> CsvReader::next_line(std::string& line) {
  if (!ahead_.empty()) {
    line = std::move(ahead_.front());
    ahead_.pop_front();
    ++line_;
    return true;
  }
  const std::optional<std::string_view> next = TRY(lines_.next());
  line_ = lines_.line();
  if (next) line = *next;
  return next.has_value();
}

Result<std::optional<CsvRecord>> CsvReader::next() {
  std::optional<CsvRecord> record = TRY(read_record());
  if (record && record->fields.size() != n_columns_) {
    return error_at(record->line, fail(ErrorCode::kParse, "expected {} fields as in the first record, got {}",
                                       n_columns_, record->fields.size()));
  }
  return record;
}

Result<std::optional<CsvRecord>> CsvReader::read_record() {
  std::string line;
  do {
    if (!TRY(next_line(line))) return std::optional<CsvRecord>();
  } while (is_blank(line));
  CsvRecord record{.fields = {}, .line = line_};
  const auto broken = [&](Error error) { return error_at(record.line, std::move(error)); };
  std::string field;
  uint64_t bytes = line.size();
  size_t at = 0;
  while (true) {
    field.clear();
    if (options_.quote != 0 && at < line.size() && line[at] == options_.quote) {
      ++at;
      while (true) {  // to the closing quote, over line breaks
        const size_t end = line.find(options_.quote, at);
        field.append(line, at, end == std::string::npos ? end : end - at);
        if (end == std::string::npos) {
          if (!TRY(next_line(line)))
            return broken(fail(ErrorCode::kParse, "a quoted field is not closed before the end of the file"));
          bytes += line.size();
          if (bytes > options_.max_record_bytes) {
            return broken(fail(ErrorCode::kLimit,
                               "expected a record of at most {} bytes; is a quote not closed?",
                               options_.max_record_bytes));
          }
          field += '\n';
          at = 0;
        } else if (end + 1 < line.size() && line[end + 1] == options_.quote) {
          field += options_.quote;
          at = end + 2;
        } else {
          at = end + 1;
          break;
        }
      }
      if (at < line.size() && line[at] != options_.separator && std::string_view(line).substr(at) != "\r") {
        return broken(
            fail(ErrorCode::kParse, "expected a separator or the end of the line after a quoted field"));
      }
    } else {
      const size_t end = std::min(line.find(options_.separator, at), line.size());
      field.assign(line, at, end - at);
      at = end;
      if (at == line.size() && !field.empty() && field.back() == '\r') field.pop_back();
    }
    if (record.fields.size() >= options_.max_columns) {
      return broken(fail(ErrorCode::kLimit, "expected at most {} fields, got more", options_.max_columns));
    }
    record.fields.push_back(field);
    if (at >= line.size() || line[at] != options_.separator) break;
    ++at;
  }
  if (n_columns_ == 0) n_columns_ = record.fields.size();
  return std::optional<CsvRecord>(std::move(record));
}

Result<size_t> CsvReader::column(const std::string& name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found != header_.end()) return static_cast<size_t>(found - header_.begin());
  return fail(ErrorCode::kNotFound, "expected a column '{}'{}", name, did_you_mean(name, header_))
      .at(lines_.name());
}

}  // namespace volant
