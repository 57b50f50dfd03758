#include "data/collect.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/clock.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/collect_sink.h"
#include "data/sources.h"

namespace volant {
namespace {

struct Kind {
  const char* name;
  ReadSource read;
};
constexpr std::array<Kind, 5> kKinds = {{{"text", read_text_source},
                                         {"markdown", read_markdown_source},
                                         {"html", read_html_source},
                                         {"csv", read_csv_source},
                                         {"jsonl", read_jsonl_source}}};

Result<Kind> kind_of(const CollectSource& source) {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    if (source.kind == kind.name) return kind;
    names.emplace_back(kind.name);
  }
  return fail(ErrorCode::kInvalidArgument,
              "expected kind to be text, markdown, html, csv or jsonl, got \"{}\"{}", source.kind,
              did_you_mean(source.kind, names))
      .at("collect.source " + source.name);
}

Status check_source(const CollectSource& source) {
  const std::string place = "collect.source " + (source.name.empty() ? "without a name" : source.name);
  if (source.name.empty()) return fail(ErrorCode::kInvalidArgument, "expected a name").at(place);
  if (source.paths.empty()) return fail(ErrorCode::kInvalidArgument, "expected one or more paths").at(place);
  if (source.kind == "markdown" && !source.separator.empty() && source.separator != "#") {
    return fail(ErrorCode::kInvalidArgument,
                "expected separator of markdown to be empty or \"#\" (a record for each heading), got \"{}\"",
                source.separator)
        .at(place);
  }
  if (source.delimiter.size() > 1) {
    return fail(ErrorCode::kInvalidArgument, "expected delimiter to be one character, got \"{}\"",
                source.delimiter)
        .at(place);
  }
  TRY(kind_of(source));
  return {};
}

bool is_excluded(const Path& path, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (::fnmatch(pattern.c_str(), path.filename().c_str(), 0) == 0 ||
        ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0)
      return true;
  }
  return false;
}

// "notes/a.txt" for what lies below the base folder, else the whole path.
std::string shown_path(const Path& path, const Path& base_dir) {
  const Path relative = path.lexically_normal().lexically_relative(base_dir.lexically_normal());
  if (relative.empty() || *relative.begin() == "..") return path.string();
  return relative.string();
}

Status read_source(const CollectOptions& options, const CollectSource& source, const Path& base_dir,
                   CollectSink& sink) {
  const ReadSource read = TRY(kind_of(source)).read;
  sink.begin_source(source);
  const std::vector<Path> files = TRY(source_files(source, base_dir, &sink.source_report().files_again));
  if (files.size() > options.max_files) {
    return fail(ErrorCode::kLimit, "expected at most {} files, got {}", options.max_files, files.size())
        .at(source.name);
  }
  Progress progress("collect " + source.name, files.size(), "files");
  for (const Path& path : files) {
    if (stop_requested())
      return fail(ErrorCode::kCancelled, "stopped before all files were read; run it again to start over");
    sink.begin_file(shown_path(path, base_dir));
    Status done = read(source, options, path, sink);
    if (sink.write_failed()) return std::move(done).error();
    if (done) {
      ++sink.source_report().files;
      const Result<uint64_t> size = volant::file_size(path);
      sink.source_report().bytes_in += size ? *size : 0;
    } else if (done.error().code == ErrorCode::kInvalidArgument ||
               done.error().code == ErrorCode::kCancelled) {
      return std::move(done).error().at(source.name);
    } else {
      sink.bad_file(done.error());
    }
    progress.update(sink.source_report().files,
                    fmt::format("{} records", format_count(sink.source_report().records)));
  }
  const CollectSourceReport& report = sink.source_report();
  sink.report().bytes_in += report.bytes_in;
  if (report.records > 0) return {};
  std::string why = "all of it is empty";
  if (!report.problems.empty()) why = report.problems[0].where + ": " + report.problems[0].message;
  return fail(ErrorCode::kParse,
              "expected records, got none from {} files ({} bad files, {} bad rows, {} empty): {}",
              files.size(), report.files_bad, report.rows_bad, report.rows_empty, why)
      .at("collect.source " + source.name);
}

Json source_json(const CollectSourceReport& s) {
  JsonObject charsets;
  for (const auto& [name, count] : s.charsets) charsets[name] = count;
  JsonArray problems;
  for (const CollectProblem& p : s.problems) {
    problems.push_back(JsonObject{{"where", p.where}, {"message", p.message}, {"text", p.text}});
  }
  return JsonObject{{"name", s.name},
                    {"kind", s.kind},
                    {"licence", s.licence},
                    {"files", s.files},
                    {"files_again", s.files_again},
                    {"files_bad", s.files_bad},
                    {"files_lossy", s.files_lossy},
                    {"bytes_in", s.bytes_in},
                    {"records", s.records},
                    {"rows_empty", s.rows_empty},
                    {"rows_bad", s.rows_bad},
                    {"charsets", charsets},
                    {"problems", problems}};
}

}  // namespace

Json CollectReport::to_json() const {
  JsonArray list;
  for (const CollectSourceReport& source : sources) list.push_back(source_json(source));
  return JsonObject{
      {"rows_out", records}, {"bytes_in", bytes_in}, {"bytes_out", bytes_out}, {"sources", list}};
}

Result<std::vector<Path>> source_files(const CollectSource& source, const Path& base_dir, uint64_t* again) {
  TRY(check_source(source));
  const std::string place = "collect.source " + source.name;
  std::vector<Path> found;
  for (const std::string& pattern : source.paths) {
    const Path full = Path(pattern).is_absolute() ? Path(pattern) : base_dir / pattern;
    Result<std::vector<Path>> matches = glob(full.string());
    if (!matches) return std::move(matches).error().at(place);
    if (matches->empty()) {
      return fail(ErrorCode::kNotFound, "expected files that match \"{}\", got none; check the path",
                  full.string())
          .at(place);
    }
    found.insert(found.end(), matches->begin(), matches->end());
  }
  std::erase_if(found, [&](const Path& path) { return is_excluded(path, source.exclude); });
  if (found.empty()) return fail(ErrorCode::kNotFound, "expected files, but exclude leaves none").at(place);

  // Device and inode tell names of the same file;
  // real files come before links to them, so that rows carry the real name.
  std::stable_sort(found.begin(), found.end(), [](const Path& a, const Path& b) {
    return !std::filesystem::is_symlink(a) && std::filesystem::is_symlink(b);
  });
  std::set<std::pair<uint64_t, uint64_t>> seen;
  std::vector<Path> out;
  for (const Path& path : found) {
    struct stat info {};
    const bool known = ::stat(path.c_str(), &info) == 0;
    if (known && !seen.insert({info.st_dev, info.st_ino}).second) {
      if (again != nullptr) ++*again;
      continue;
    }
    out.push_back(path);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<CollectReport> collect(const CollectOptions& options, const Path& out_jsonl_path,
                              const Path& base_dir) {
  if (options.sources.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "expected one or more sources to collect from; add a [[collect.source]]");
  }
  std::set<std::string> names;
  for (const CollectSource& source : options.sources) {
    TRY(check_source(source));
    if (!names.insert(source.name).second) {
      return fail(ErrorCode::kInvalidArgument, "expected sources of different names, \"{}\" comes twice",
                  source.name);
    }
  }
  const double started = steady_seconds();
  CollectSink sink(options, TRY(JsonlWriter::create(out_jsonl_path)));
  for (const CollectSource& source : options.sources) TRY(read_source(options, source, base_dir, sink));
  TRY(sink.finish());
  CollectReport report = std::move(sink.report());
  report.seconds = steady_seconds() - started;
  return report;
}

}  // namespace volant
