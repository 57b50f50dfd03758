// Text files: a file is a record, or records stand between
// lines that hold only the separator (as in fortune files).
#include <algorithm>

#include "data/sources.h"
#include "io/line_reader.h"

namespace volant {

Result<std::string> read_decoded(const Path& path, std::string_view charset, uint64_t max_bytes,
                                 CollectSink& sink) {
  const std::string bytes = TRY(read_content(path, max_bytes));
  DecodedText decoded = TRY(decode_text(bytes, charset));
  sink.note_charset(decoded);
  return std::move(decoded.text);
}

Result<std::vector<std::string>> split_fields(const std::string& text_field) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= text_field.size();) {
    const size_t end = std::min(text_field.find(',', begin), text_field.size());
    std::string name = text_field.substr(begin, end - begin);
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) out.push_back(std::move(name));
    begin = end + 1;
  }
  if (out.empty()) {
    return fail(ErrorCode::kInvalidArgument, "expected text_field to name a column or field, got \"{}\"",
                text_field);
  }
  return out;
}

Status read_text_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                        CollectSink& sink) {
  const std::string text = TRY(read_decoded(path, source.charset, options.max_file_bytes, sink));
  if (source.separator.empty()) return sink.add_text(text, 1);
  const bool at_blank_lines = source.separator == "\n";
  const std::string_view separator = at_blank_lines ? std::string_view() : source.separator;
  uint64_t record = 1;
  size_t record_begin = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    const bool last = end == text.size();
    if (line == separator || last) {
      const size_t record_end = line == separator ? begin : end;
      const std::string_view body = std::string_view(text).substr(record_begin, record_end - record_begin);
      // What follows the last separator is no record unless something is there, nor is what several blank
      // lines enclose.
      const bool may_be_empty = !last && !at_blank_lines;
      if (may_be_empty || body.find_first_not_of(" \t\r\n") != std::string_view::npos)
        TRY(sink.add_text(body, record++));
      record_begin = std::min(end + 1, text.size());
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace volant
