// CSV and TSV files: one column is the text, or several joined by line ends.
#include "base/stop.h"
#include "data/sources.h"
#include "io/csv.h"
#include "io/line_reader.h"

namespace volant {
namespace {

Result<CsvOptions> options_for(const CollectSource& source, const CollectOptions& options, const Path& path) {
  CsvOptions out;
  out.max_record_bytes = options.max_record_bytes;
  if (source.delimiter.size() > 1) {
    return fail(ErrorCode::kInvalidArgument, "expected delimiter to be one character, got \"{}\"",
                source.delimiter);
  }
  if (!source.delimiter.empty()) out.separator = source.delimiter[0];
  if (source.delimiter.empty() && is_tsv(path)) out.separator = '\t';
  if (out.separator == '\t') out.quote = 0;
  out.header = !source.text_field.starts_with('#');
  return out;
}

// Indices of the columns that make the text.
Result<std::vector<size_t>> columns_of(const CsvReader& reader, const std::string& text_field) {
  std::vector<size_t> out;
  if (!text_field.starts_with('#')) {
    if (const Result<size_t> whole = reader.column(text_field)) return std::vector<size_t>{*whole};
  }
  for (const std::string& name : TRY(split_fields(text_field))) {
    if (!name.starts_with('#')) {
      out.push_back(TRY(reader.column(name)));
      continue;
    }
    size_t number = 0;
    for (const char c : name.substr(1))
      number = c >= '0' && c <= '9' && number < 100000 ? number * 10 + static_cast<size_t>(c - '0') : 0;
    if (number == 0) {
      return fail(ErrorCode::kInvalidArgument,
                  "expected \"#\" and the number of a column, from 1, got \"{}\"", name);
    }
    out.push_back(number - 1);
  }
  return out;
}

}  // namespace

Status read_csv_source(const CollectSource& source, const CollectOptions& options, const Path& path,
                       CollectSink& sink) {
  const CsvOptions csv = TRY(options_for(source, options, path));
  std::string content = TRY(read_decoded(path, source.charset, options.max_file_bytes, sink));
  CsvReader reader = TRY(CsvReader::from_text(std::move(content), sink.file(), csv));
  const std::vector<size_t> columns = TRY(columns_of(reader, source.text_field));
  uint64_t record = 0;
  while (true) {
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped before all rows were read");
    Result<std::optional<CsvRecord>> next = reader.next();
    if (next && !*next) return {};
    ++record;
    if (!next) {
      sink.bad_row(next.error());
      continue;
    }
    const std::vector<std::string>& fields = (*next)->fields;
    std::string text;
    bool complete = true;
    for (const size_t column : columns) {
      complete = complete && column < fields.size();
      if (complete && !fields[column].empty()) text += (text.empty() ? "" : "\n") + fields[column];
    }
    if (!complete) {
      sink.bad_row(
          (*next)->line,
          fmt::format("expected the columns of \"{}\", got {} columns", source.text_field, fields.size()),
          fields.empty() ? std::string() : fields[0]);
      continue;
    }
    TRY(sink.add_text(text, record));
  }
}

}  // namespace volant
