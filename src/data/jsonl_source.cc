// JSON Lines files, and .json files that hold one array of objects. A row gives a field as text, or several
// joined by line ends (a field that is a list of texts counts as its lines), or it is a conversation in any
// layout of row_layout.h.
#include "base/stop.h"
#include "data/row_layout.h"
#include "data/sources.h"
#include "io/line_reader.h"

namespace volant {
namespace {

// "a.b" is b in the object a, unless a field is named so.
const Json* field_of(const Json& row, std::string_view name) {
  if (const Json* field = json_find(row, name)) return field;
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const Json* outer = json_find(row, name.substr(0, dot));
  return outer == nullptr ? nullptr : field_of(*outer, name.substr(dot + 1));
}

Result<std::string> text_of(const Json& value, std::string_view name) {
  if (value.is_string()) return std::string(std::string_view(value.get_string()));
  std::string out;
  if (value.is_array()) {
    for (const Json& item : value.get_array()) {
      if (!item.is_string()) return fail(ErrorCode::kParse, "expected \"{}\" to be a list of texts", name);
      if (!out.empty()) out += '\n';
      out += std::string_view(item.get_string());
    }
    return out;
  }
  return fail(ErrorCode::kParse, "expected \"{}\" to be a text or a list of texts", name);
}

struct FieldReader {
  const CollectSource& source;
  std::vector<std::string> fields;

  Status add(const Json& row, uint64_t record, CollectSink& sink) const {
    if (!row.is_object()) return fail(ErrorCode::kParse, "expected an object");
    std::string text;
    bool any = false;
    for (const std::string& name : fields) {
      const Json* value = field_of(row, name);
      if (value == nullptr || (name == "messages" && value->is_array())) continue;
      const std::string part = TRY(text_of(*value, name));
      any = true;
      if (!part.empty()) text += (text.empty() ? "" : "\n") + part;
    }
    if (any) return sink.add_text(text, record);
    std::vector<JsonObject> rows;
    if (detect_row_format(row.get_object())) rows = TRY(canonical_rows(row));
    if (rows.empty() || !rows.front().contains("messages"))
      return fail(ErrorCode::kParse, "expected the field \"{}\" or a conversation; set text_field",
                  source.text_field);
    for (JsonObject& each : rows) TRY(sink.add_conversation(std::move(each), record));
    return {};
  }

  // A row that is wrong is told and passed over; that nothing can be written is an error.
  Status add_or_tell(Result<Json> row, uint64_t line, uint64_t record, std::string_view text,
                     CollectSink& sink) const {
    Status added = row ? add(*row, record, sink) : Status(std::move(row).error());
    if (added || sink.write_failed()) return added;
    sink.bad_row(line, added.error().to_string(), text);
    return {};
  }
};

Status read_array(const FieldReader& reader, const Json& all, CollectSink& sink) {
  uint64_t record = 0;
  for (const Json& row : all.get_array()) {
    ++record;
    TRY(reader.add_or_tell(row, 0, record, fmt::format("record {}", record), sink));
  }
  return {};
}

Status read_lines(const FieldReader& reader, LineReader lines, bool told_charset, CollectSink& sink) {
  uint64_t record = 0;
  while (true) {
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped before all rows were read");
    Result<std::optional<std::string_view>> line = lines.next();
    if (line && !*line) break;
    if (!line) {
      if (line.error().code != ErrorCode::kLimit) return std::move(line).error();
      ++record;
      sink.bad_row(lines.line(), line.error().message, "");
      continue;
    }
    if ((*line)->find_first_not_of(" \t\r") == std::string_view::npos) continue;
    ++record;
    TRY(reader.add_or_tell(parse_json(**line), lines.line(), record, **line, sink));
  }
  if (!told_charset) sink.note_charset({"", "UTF-8", false});
  return {};
}

// What the file starts with decides how it is read.
enum class Layout { kLines, kArray, kOtherCharset };

Result<Layout> layout_of(const Path& path) {
  const std::unique_ptr<ByteSource> source = TRY(open_byte_source(path));
  std::string head(4096, '\0');
  head.resize(TRY(source->read(head)));
  if (head.find('\0') != std::string::npos || head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF"))
    return Layout::kOtherCharset;
  if (head.starts_with("\xEF\xBB\xBF")) head.erase(0, 3);
  const size_t first = head.find_first_not_of(" \t\r\n");
  return first != std::string::npos && head[first] == '[' ? Layout::kArray : Layout::kLines;
}

}  // namespace

Status read_jsonl_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                         CollectSink& sink) {
  const FieldReader reader{source, TRY(split_fields(source.text_field))};
  const Layout layout = TRY(layout_of(path));
  if (layout == Layout::kLines && source.charset.empty()) {
    return read_lines(reader, TRY(LineReader::open(path, {.max_line_bytes = options.max_record_bytes})),
                      false, sink);
  }
  std::string content = TRY(read_decoded(path, source.charset, options.max_file_bytes, sink));
  const size_t first = content.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && content[first] == '[') {
    const Result<Json> all = parse_json(content);
    if (all) return read_array(reader, *all, sink);
    // Lines, of which the first one is a wrong row, when the name says so.
    if (path.filename().string().find(".jsonl") == std::string::npos) return all.error();
  }
  return read_lines(
      reader,
      LineReader::from_text(std::move(content), sink.file(), {.max_line_bytes = options.max_record_bytes}),
      true, sink);
}

}  // namespace volant
