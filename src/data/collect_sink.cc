#include "data/collect_sink.h"

#include "base/digest.h"
#include "data/personal_data.h"
#include "data/step_ledger.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxProblems = 20;

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace

void CollectSink::begin_source(const CollectSource& source) {
  source_ = &source;
  CollectSourceReport& report = report_.sources.emplace_back();
  report.name = source.name;
  report.kind = source.kind;
  report.licence = source.licence;
}

void CollectSink::begin_file(std::string shown) { file_ = std::move(shown); }

Status CollectSink::add_text(std::string_view text, uint64_t record) {
  if (is_blank(text)) {
    ++source_report().rows_empty;
    return {};
  }
  if (text.size() > options_.max_record_bytes) {
    bad_row(0,
            fmt::format("record {} has {} bytes, expected at most {}", record, text.size(),
                        options_.max_record_bytes),
            text);
    return {};
  }
  JsonObject row;
  row["id"] = sha256_hex(source_->name + "\n" + std::string(text)).substr(0, 16);
  row["text"] = text;
  return write(std::move(row), record, text.size());
}

Status CollectSink::add_conversation(JsonObject row, uint64_t record) {
  const std::string content = dump_json(row);
  if (content.size() > options_.max_record_bytes) {
    bad_row(0,
            fmt::format("record {} has {} bytes, expected at most {}", record, content.size(),
                        options_.max_record_bytes),
            content);
    return {};
  }
  row["id"] = sha256_hex(source_->name + "\n" + content).substr(0, 16);
  return write(std::move(row), record, content.size());
}

Status CollectSink::write(JsonObject row, uint64_t record, size_t bytes) {
  row["source"] = source_->name;
  row["path"] = file_;
  row["record"] = record;
  Status written = writer_.write(std::move(row));
  write_failed_ = !written;
  ++source_report().records;
  ++report_.records;
  report_.bytes_out += bytes;
  return written;
}

void CollectSink::problem(std::string where, std::string_view message, std::string_view text) {
  if (source_report().problems.size() >= kMaxProblems) return;
  source_report().problems.push_back({std::move(where), std::string(message),
                                      snippet(mask_personal_data(to_valid_utf8(text.substr(0, 1000))), 120)});
}

void CollectSink::bad_row(uint64_t line, std::string_view message, std::string_view text) {
  ++source_report().rows_bad;
  problem(line == 0 ? file_ : fmt::format("{}:{}", file_, line), message, text);
}

void CollectSink::bad_row(const Error& error) {
  ++source_report().rows_bad;
  problem(error.where.empty() ? file_ : error.where, error.message, "");
}

void CollectSink::bad_file(const Error& error) {
  ++source_report().files_bad;
  problem(file_, error.message, "");
}

void CollectSink::note_charset(const DecodedText& decoded) {
  ++source_report().charsets[decoded.charset];
  source_report().files_lossy += decoded.lossy;
}

}  // namespace volant
