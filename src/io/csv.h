// CSV (RFC 4180): comma, semicolon or tab, fields in quotes that may hold separators, doubled quotes and line
// breaks. Streams; plain, `.gz`, `.zst`. Errors name file and line. Text is not decoded here: give UTF-8.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "io/line_reader.h"

namespace volant {

struct CsvOptions {
  char separator = 0;  // 0: find out which of , ; tab the first lines use
  char quote = '"';    // 0: quotation marks are plain text
  bool header = true;  // the first record names the columns
  size_t max_columns = 4096;
  uint64_t max_record_bytes = 16ULL << 20;
};

// Whether a file is tab-separated by its name: ".tsv", ".tsv.gz", ".tab".
bool is_tsv(const Path& path);

struct CsvRecord {
  std::vector<std::string> fields;
  uint64_t line = 0;  // where it begins, from 1
};

class CsvReader {
 public:
  static Result<CsvReader> open(const Path& path, const CsvOptions& options = {});
  // Records of `text`; errors call it `name`.
  static Result<CsvReader> from_text(std::string text, std::string name, const CsvOptions& options = {});

  // Names of the columns; empty without a header or in an empty file.
  const std::vector<std::string>& header() const { return header_; }
  char separator() const { return options_.separator; }
  // Index of a column, or kNotFound with the nearest name.
  Result<size_t> column(const std::string& name) const;
  // The next record; nothing at the end. Blank lines are passed over. A record with another number of fields
  // than the first, or with a broken quote, is kParse "file:line: ...", and the one after it can be read.
  Result<std::optional<CsvRecord>> next();

 private:
  explicit CsvReader(LineReader lines, const CsvOptions& options)
      : lines_(std::move(lines)), options_(options) {}
  static Result<CsvReader> start(LineReader lines, const CsvOptions& options);
  Result<bool> next_line(std::string& line);
  Result<std::optional<CsvRecord>> read_record();
  Status look_ahead();
  Error error_at(uint64_t line, Error error) const;

  LineReader lines_;
  CsvOptions options_;
  std::vector<std::string> header_;
  std::deque<std::string> ahead_;  // lines that the search for the separator has read
  uint64_t line_ = 0;
  size_t n_columns_ = 0;
};

}  // namespace volant
