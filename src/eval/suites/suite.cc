#include "eval/suites/suite.h"

#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "eval/suites/suite_rows.h"

namespace volant {
namespace {

struct Format {
  const char* name;
  SuiteKind kind;
};
constexpr std::array kFormats{
    Format{"mmlu", SuiteKind::kChoice},     Format{"gsm8k", SuiteKind::kNumber},
    Format{"humaneval", SuiteKind::kCode},  Format{"cmrc2018", SuiteKind::kReading},
    Format{"squad", SuiteKind::kReading},   Format{"choice", SuiteKind::kChoice},
    Format{"number", SuiteKind::kNumber},   Format{"answer", SuiteKind::kAnswer},
    Format{"reading", SuiteKind::kReading}, Format{"code", SuiteKind::kCode},
    Format{"text", SuiteKind::kText},       Format{"safety", SuiteKind::kSafety},
};

Result<Format> find_format(const std::string& name) {
  std::vector<std::string> names;
  std::string all;
  for (const Format& format : kFormats) {
    if (format.name == name) return format;
    names.emplace_back(format.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  return fail(ErrorCode::kInvalidArgument,
              "expected a suite as FORMAT:PATH with one of the formats {}, got '{}'{}", all, name,
              did_you_mean(name, names));
}

Result<std::vector<SuiteRow>> read_rows(const std::string& format, SuiteKind kind, const Path& path) {
  if (format == "mmlu") return read_mmlu(path);
  if (format == "cmrc2018" || format == "squad") return read_squad(path);
  return read_suite_jsonl(path, kind);
}

void take_evenly(std::vector<SuiteRow>& rows, size_t limit) {
  if (limit == 0 || rows.size() <= limit) return;
  std::vector<SuiteRow> chosen;
  for (size_t i = 0; i < limit; ++i) chosen.push_back(std::move(rows[i * rows.size() / limit]));
  rows = std::move(chosen);
}

}  // namespace

const char* suite_kind_name(SuiteKind kind) {
  switch (kind) {
    case SuiteKind::kChoice:
      return "choice";
    case SuiteKind::kNumber:
      return "number";
    case SuiteKind::kAnswer:
      return "answer";
    case SuiteKind::kReading:
      return "reading";
    case SuiteKind::kCode:
      return "code";
    case SuiteKind::kText:
      return "text";
    case SuiteKind::kSafety:
      return "safety";
  }
  return "unknown";
}

Result<Suite> load_suite(const std::string& spec, size_t limit) {
  const size_t colon = std::min(spec.find(':'), spec.size());
  const Format format = TRY(find_format(spec.substr(0, colon)));
  const Path path = colon < spec.size() ? spec.substr(colon + 1) : "";
  if (path.empty())
    return fail(ErrorCode::kInvalidArgument, "expected a suite as FORMAT:PATH, '{}' names no path", spec);
  Suite suite{.name = format.name, .format = format.name, .kind = format.kind};
  if (suite.name == suite_kind_name(suite.kind)) suite.name = path.filename().string();
  suite.rows = TRY(read_rows(suite.format, suite.kind, path));
  if (suite.rows.empty())
    return fail(ErrorCode::kInvalidArgument, "expected at least one row, found none").at(path.string());
  if (suite.rows.size() > kMaxSuiteRows)
    return fail(ErrorCode::kLimit, "{} rows are too many, at most {} are read", suite.rows.size(),
                kMaxSuiteRows)
        .at(path.string());
  if (suite.format == "mmlu" && std::filesystem::is_directory(path / "dev"))
    TRY(add_examples(suite, path / "dev"));
  take_evenly(suite.rows, limit);
  return suite;
}

Status add_examples(Suite& suite, const Path& path) {
  std::vector<SuiteRow> rows = TRY(read_rows(suite.format, suite.kind, path));
  for (SuiteRow& row : rows) {
    const std::string group = row.group;
    suite.examples[group].push_back(std::move(row));
  }
  return {};
}

}  // namespace volant
