#include "data/sample.h"

#include <array>

#include "data/clean.h"
#include "data/collect.h"
#include "data/personal_data.h"
#include "data/quality.h"
#include "data/row.h"
#include "data/step_ledger.h"
#include "io/csv.h"
#include "io/jsonl.h"
#include "text/charset.h"
#include "text/language.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRecords = 10'000;
constexpr size_t kMaxShownChars = 2000;

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

// The first names of `wanted` that a table of the given names has; the first name of all when none is.
std::string choose_field(const std::vector<std::string>& names) {
  for (const std::string_view wanted :
       {"text", "content", "body", "paragraphs", "sentence", "review", "instruction", "question"}) {
    for (const std::string& name : names) {
      if (name == wanted) return name;
    }
  }
  return names.empty() ? "text" : names.back();
}

// The text column or field of a file, as a guess; its names are counted into `fields`.
Result<std::string> guess_field(const Path& path, const std::string& kind, JsonObject& fields) {
  std::vector<std::string> names;
  if (kind == "csv") {
    const bool tabs = path.string().find(".tsv") != std::string::npos;
    const CsvOptions options{.separator = tabs ? '\t' : '\0', .quote = tabs ? '\0' : '"'};
    Result<CsvReader> reader = CsvReader::open(path, options);
    if (!reader) return std::string("#1");  // names that come twice: no header
    names = reader->header();
  } else if (kind == "jsonl") {
    JsonlReader reader = TRY(JsonlReader::open(path));
    const Result<std::optional<Json>> first = reader.next();
    if (!first || !*first || !(*first)->is_object()) return std::string("text");
    for (const auto& [key, value] : (*first)->get_object()) {
      if (value.is_string() || value.is_array()) names.emplace_back(key);
    }
  }
  for (const std::string& name : names) fields[name] = 1;
  return choose_field(names);
}

void count(JsonObject& counts, std::string_view name) {
  Json& value = counts[name];
  value = (value.is_null() ? 0 : value.to_number<uint64_t>()) + 1;
}

}  // namespace

std::string kind_of_file(const Path& path) {
  std::string name = path.filename().string();
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (name.ends_with(packed)) name.resize(name.size() - packed.size());
  }
  if (ends_with_any(name, {".md", ".markdown"})) return "markdown";
  if (ends_with_any(name, {".html", ".htm", ".xhtml"})) return "html";
  if (ends_with_any(name, {".csv", ".tsv", ".tab"})) return "csv";
  if (ends_with_any(name, {".jsonl", ".ndjson", ".json"})) return "jsonl";
  return "text";
}

Result<Json> sample_of_file(const Path& path, const std::string& kind, uint64_t n_rows) {
  if (!std::filesystem::exists(path))
    return fail(ErrorCode::kNotFound, "expected a file, there is none").at(path.string());
  CollectSource source;
  source.name = path.filename().string();
  source.kind = kind.empty() ? kind_of_file(path) : kind;
  source.paths = {path.string()};
  JsonObject fields;
  source.text_field = TRY(guess_field(path, source.kind, fields));

  const Path scratch =
      partial_path(std::filesystem::temp_directory_path() / "volant-sample").string() + ".jsonl";
  Result<CollectReport> report = collect({.sources = {source}}, scratch, std::filesystem::current_path());
  if (!report) return std::move(report).error();
  JsonObject languages, verdicts, personal;
  JsonArray rows, problems;
  {
    JsonlReader reader = TRY(JsonlReader::open(scratch));
    for (uint64_t n = 0; n < kMaxRecords; ++n) {
      const std::optional<Json> json = TRY(reader.next());
      if (!json) break;
      Row row = TRY(row_from_json(*json));
      row.map_text([](std::string_view text) { return clean_text(text); });
      row.lang = identify_language(row.text).code;
      const QualityVerdict verdict = judge_quality(measure_text(row.text), {});
      count(languages, row.lang);
      count(verdicts, verdict.keep ? "kept" : verdict.rule);
      for (const PersonalDataSpan& span : find_personal_data(row.text))
        count(personal, personal_data_name(span.kind));
      if (rows.size() < n_rows) {
        rows.push_back(JsonObject{{"record", row.record},
                                  {"text", snippet(row.text, kMaxShownChars)},
                                  {"lang", row.lang},
                                  {"verdict", verdict.keep ? "kept" : verdict.rule + ": " + verdict.detail}});
      }
    }
  }
  TRY(volant::remove_all(scratch));
  const CollectSourceReport& read = report->sources[0];
  JsonObject charsets;
  for (const auto& [name, n] : read.charsets) charsets[name] = n;
  for (const CollectProblem& problem : read.problems) {
    problems.push_back(JsonObject{{"where", problem.where}, {"message", problem.message}});
  }
  return Json(JsonObject{{"kind", source.kind},
                         {"field", source.text_field},
                         {"bytes", read.bytes_in},
                         {"records", read.records},
                         {"charsets", charsets},
                         {"fields", fields},
                         {"languages", languages},
                         {"verdicts", verdicts},
                         {"personal_data", personal},
                         {"problems", problems},
                         {"rows", rows}});
}

}  // namespace volant
