// Collect sink: where the readers of the kinds of files put what they found. Gives each record its id and
// place, writes it, counts it, and keeps the first few problems.
#pragma once
#include <string>
#include <string_view>

#include "data/collect.h"
#include "io/jsonl.h"
#include "text/charset.h"

namespace volant {

class CollectSink {
 public:
  CollectSink(const CollectOptions& options, JsonlWriter writer)
      : options_(options), writer_(std::move(writer)) {}

  void begin_source(const CollectSource& source);
  // `shown` is the path as rows and problems name it.
  void begin_file(std::string shown);
  // A record of text, number `record` (from 1) of its file. Blank ones are counted, not written.
  Status add_text(std::string_view text, uint64_t record);
  // A conversation: an object with "messages"; its other fields stay.
  Status add_conversation(JsonObject row, uint64_t record);
  // A row that cannot be read; `line` 0 when there is none to name.
  void bad_row(uint64_t line, std::string_view message, std::string_view text);
  // The same for an error that knows its place ("posts.csv:17").
  void bad_row(const Error& error);
  void bad_file(const Error& error);
  void note_charset(const DecodedText& decoded);

  CollectSourceReport& source_report() { return report_.sources.back(); }
  const std::string& file() const { return file_; }
  // The rows cannot be written: no use to go on.
  bool write_failed() const { return write_failed_; }
  Status finish() { return writer_.finish(); }
  CollectReport& report() { return report_; }

 private:
  Status write(JsonObject row, uint64_t record, size_t bytes);
  void problem(std::string where, std::string_view message, std::string_view text);
  const CollectOptions& options_;
  JsonlWriter writer_;
  const CollectSource* source_ = nullptr;
  std::string file_;
  bool write_failed_ = false;
  CollectReport report_;
};

}  // namespace volant
