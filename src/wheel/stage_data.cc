// Collect, prepare and token shards: from the user's files to what the trainer maps.
#include <fmt/format.h>

#include "base/progress.h"
#include "data/collect.h"
#include "data/pack.h"
#include "data/prepare.h"
#include "wheel/file_digests.h"
#include "wheel/stages.h"

namespace volant {
namespace {

// Every file of a source with its digest.
struct SourceFile {
  std::string path, digest;
};

Result<std::vector<SourceFile>> files_of(Workspace& workspace, const SourceSection& source, bool cheap) {
  std::vector<SourceFile> files;
  for (const Path& path : TRY(source_files(source, workspace.path()))) {
    files.push_back({path.string(), TRY(cached_digest(workspace.registry(), path, cheap))});
  }
  return files;
}

Status write_report(const Path& path, const Json& report) {
  return write_file_atomic(path, dump_json_pretty(report));
}

// "en 4,012, zh 1,300".
std::string languages_line(const PrepareReport& report) {
  std::vector<std::string> parts;
  for (const auto& [language, count] : report.languages)
    parts.push_back(fmt::format("{} {}", language, format_count(count.rows)));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

Result<Json> collect_settings(Workspace& workspace, bool cheap) {
  JsonArray sources;
  for (const SourceSection& source : workspace.config().sources) {
    JsonArray files;
    for (const SourceFile& file : TRY(files_of(workspace, source, cheap))) {
      files.push_back(JsonArray{Json(file.path), Json(file.digest)});
    }
    sources.push_back(JsonObject{{"source", to_json(source)}, {"files", std::move(files)}});
  }
  return Json(std::move(sources));
}

Result<StageResult> run_collect(StageContext& context) {
  Workspace& workspace = context.workspace;
  const CollectOptions options{.sources = workspace.config().sources};
  const Path documents = context.scratch / "documents.jsonl.zst";
  const CollectReport report = TRY(collect(options, documents, workspace.path()));
  const Path report_file = context.scratch / "collect.json";
  TRY(write_report(report_file, report.to_json()));
  StageResult result;
  result.products = {{"documents", "documents", documents}, {"collect_report", "report", report_file}};
  Registry& registry = workspace.registry();
  uint64_t n_files = 0;
  for (const SourceSection& source : workspace.config().sources) {
    for (const SourceFile& file : TRY(files_of(workspace, source, false))) {
      const LineageNode node{"file", file.path + "@" + file.digest};
      TRY(add_edge(registry, {"source", source.name}, node, "file"));
      result.from.push_back(node);
      ++n_files;
    }
  }
  result.detail =
      fmt::format("{} from {}", count_of(report.records, "documents"), count_of(n_files, "files"));
  result.summary =
      JsonObject{{"documents", report.records}, {"files", n_files}, {"bytes_in", report.bytes_in}};
  return result;
}

Result<Json> prepare_settings(Workspace& workspace, bool) { return to_json(workspace.config().prepare); }

Result<StageResult> run_prepare(StageContext& context) {
  const Path rows = context.scratch / "rows";
  const PrepareReport report =
      TRY(prepare(context.workspace.config().prepare, {TRY(context.input("documents"))}, rows));
  StageResult result;
  result.products = {{"rows", "rows", rows}};
  result.detail = fmt::format("{} of {} documents kept ({})", format_count(report.rows_out),
                              format_count(report.rows_in), languages_line(report));
  JsonObject splits;
  for (const auto& [name, count] : report.splits) splits[name] = count.rows;
  result.summary = JsonObject{{"rows_in", report.rows_in}, {"rows_out", report.rows_out}, {"splits", splits}};
  return result;
}

Result<Json> shards_settings(Workspace&, bool) { return Json(JsonObject()); }

Result<StageResult> run_shards(StageContext& context) {
  const Path rows = TRY(context.input("rows"));
  const auto tokenizer = TRY(load_tokenizer(TRY(context.input("tokenizer"))));
  const Path folder = context.scratch / "shards";
  TRY(make_dirs(folder));
  const ShardReport train = TRY(write_shard_of_rows(rows / kTrainRows, *tokenizer, folder / "train"));
  const ShardReport validation =
      TRY(write_shard_of_rows(rows / kValidationRows, *tokenizer, folder / "validation"));
  TRY(write_report(folder / "report.json",
                   JsonObject{{"train", train.to_json()}, {"validation", validation.to_json()}}));
  StageResult result;
  result.products = {{"shards", "shards", folder}};
  result.detail = fmt::format("{} to learn from, {} to check on", count_of(train.tokens, "tokens"),
                              count_of(validation.tokens, "tokens"));
  result.summary = JsonObject{{"train_tokens", train.tokens}, {"validation_tokens", validation.tokens}};
  return result;
}

}  // namespace volant
