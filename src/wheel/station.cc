#include "wheel/station.h"

#include <algorithm>

#include "base/clock.h"
#include "base/digest.h"
#include "base/progress.h"
#include "base/stop.h"
#include "wheel/running.h"

namespace volant {
namespace {

bool is_digest(const std::string& value) {
  return value.size() == 64 && value.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string dump_outputs(const Outputs& outputs) {
  JsonObject object;
  for (const auto& [role, value] : outputs) object[role] = value;
  return dump_json(object);
}

StageRecord record_of(const SqlRow& row) {
  StageRecord record{row.text(0), row.text(1), {}, row.text(3), row.text(4), row.real(5)};
  if (const auto outputs = parse_json(row.text(2)); outputs && outputs->is_object()) {
    for (const auto& [role, value] : outputs->as_object()) {
      if (value.is_string()) record.outputs[role] = std::string(value.as_string());
    }
  }
  return record;
}

constexpr const char* kColumns = "station, stage_key, outputs, detail, created_at, seconds";

// The artifacts of `result`, then one transaction: the record, lineage, the run's end.
Result<StageRecord> record_result(const Stage& stage, StageContext& context, const std::string& key,
                                  const StageResult& result, double seconds) {
  Registry& registry = context.workspace.registry();
  StageRecord record{stage.name, key, result.names, result.detail, now_iso8601(), seconds};
  std::vector<LineageNode> made;
  for (const Product& product : result.products) {
    const Artifact artifact = TRY(put_artifact(registry, product.path, product.kind));
    record.outputs[product.role] = artifact.digest;
    made.push_back({"artifact", artifact.digest});
  }
  const LineageNode run{"run", context.run.id};
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  TRY(registry.database().execute(
      fmt::format(
          "INSERT INTO stages ({}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (station, stage_key) DO UPDATE SET "
          "outputs = excluded.outputs, detail = excluded.detail, created_at = excluded.created_at, "
          "seconds = excluded.seconds",
          kColumns),
      {record.stage, key, dump_outputs(record.outputs), record.detail, record.created_at, seconds}));
  TRY(registry.database().execute("DELETE FROM station_failures WHERE station = ?",
                                  {std::string(stage.station)}));
  for (const std::string& role : stage.needs) {
    const auto found = context.inputs.find(role);
    if (found != context.inputs.end() && is_digest(found->second)) {
      TRY(add_edge(registry, {"artifact", found->second}, run, role));
    }
  }
  for (const LineageNode& node : result.from) TRY(add_edge(registry, node, run, node.kind));
  for (const LineageNode& node : made) TRY(add_edge(registry, run, node, stage.name));
  TRY(finish_run(registry, context.run.id, "finished", result.summary, seconds));
  TRY(transaction.commit());
  return record;
}

// Best effort: the error itself is what the caller reports.
void record_failure(const Stage& stage, Workspace& workspace, const std::string& run_id,
                    const std::string& key, const Error& error, double seconds) {
  const bool cancelled = error.code == ErrorCode::kCancelled;
  Registry& registry = workspace.registry();
  (void)finish_run(registry, run_id, cancelled ? "stopped" : "failed",
                   JsonObject{{"error", error.to_string()}}, seconds);
  if (cancelled) {  // it got past what failed before
    (void)registry.database().execute("DELETE FROM station_failures WHERE station = ?",
                                      {std::string(stage.station)});
    return;
  }
  (void)registry.database().execute(
      "INSERT INTO station_failures (station, stage_key, message, created_at) VALUES (?, ?, ?, ?) ON "
      "CONFLICT (station) "
      "DO UPDATE SET stage_key = excluded.stage_key, message = excluded.message, created_at = "
      "excluded.created_at",
      {std::string(stage.station), key, error.to_string(), now_iso8601()});
}

}  // namespace

Result<Path> StageContext::input(const std::string& role) const {
  const auto found = inputs.find(role);
  if (found == inputs.end()) return fail(ErrorCode::kInternal, "the stage has no input '{}'", role);
  return artifact_path(workspace.registry(), found->second);
}

Result<std::string> stage_key(const Stage& stage, Workspace& workspace, const Outputs& inputs, bool cheap) {
  JsonObject digests;
  for (const std::string& role : stage.needs) {
    const auto found = inputs.find(role);
    if (found == inputs.end())
      return fail(ErrorCode::kInternal, "stage {} misses its input '{}'", stage.name, role);
    digests[role] = found->second;
  }
  return sha256_hex(dump_json(JsonObject{{"stage", stage.name},
                                         {"code", stage.code_version},
                                         {"settings", TRY(stage.settings(workspace, cheap))},
                                         {"inputs", digests}}));
}

Result<std::optional<StageRecord>> find_record(Workspace& workspace, const std::string& stage,
                                               const std::string& key) {
  const auto row = TRY(workspace.registry().database().query_one(
      fmt::format("SELECT {} FROM stages WHERE station = ? AND stage_key = ?", kColumns), {stage, key}));
  if (!row) return std::optional<StageRecord>();
  StageRecord record = record_of(*row);
  for (const auto& [role, value] : record.outputs) {
    if (is_digest(value) && !artifact_path(workspace.registry(), value)) return std::optional<StageRecord>();
  }
  return std::optional<StageRecord>(std::move(record));
}

Result<std::optional<StageRecord>> latest_record(Workspace& workspace, const std::string& stage) {
  const auto row = TRY(workspace.registry().database().query_one(
      fmt::format("SELECT {} FROM stages WHERE station = ? ORDER BY created_at DESC LIMIT 1", kColumns),
      {stage}));
  if (!row) return std::optional<StageRecord>();
  return std::optional<StageRecord>(record_of(*row));
}

Result<StageRecord> run_stage(const Stage& stage, Workspace& workspace, const Outputs& inputs,
                              const std::string& key) {
  Registry& registry = workspace.registry();
  const double started = steady_seconds();
  const Run run = TRY(start_run(registry, stage.name, key));
  const RunningMark mark = TRY(RunningMark::set(registry, stage.station, run.id));
  StageContext context{workspace, inputs, partial_path(registry.tmp_dir() / stage.name), run};
  const auto work = [&]() -> Result<StageRecord> {
    TRY(make_dirs(context.scratch));
    const StageResult result = TRY(stage.run(context));
    if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped; the same command goes on from here");
    return record_result(stage, context, key, result, steady_seconds() - started);
  };
  Result<StageRecord> record = work();
  (void)volant::remove_all(context.scratch);
  if (!record) {
    record_failure(stage, workspace, run.id, key, record.error(), steady_seconds() - started);
    return std::move(record).error().at(stage.name);
  }
  return record;
}

std::string count_of(uint64_t n, std::string_view plural) {
  const bool one = n == 1 && plural.ends_with('s');
  return fmt::format("{} {}", format_count(n), plural.substr(0, plural.size() - (one ? 1 : 0)));
}

}  // namespace volant
