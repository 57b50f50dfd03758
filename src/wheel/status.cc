#include "wheel/status.h"

#include <algorithm>

#include "base/progress.h"
#include "feedback/feedback.h"
#include "registry/answers.h"
#include "registry/artifacts.h"
#include "registry/versions.h"
#include "wheel/improve.h"
#include "wheel/improve_record.h"
#include "wheel/plan.h"
#include "wheel/run.h"
#include "wheel/running.h"
#include "wheel/stages.h"

namespace volant {
namespace {

struct StationStatus {
  std::string name, state, detail, updated_at;
  double seconds = 0;
};

Json to_json(const StationStatus& status) {
  return JsonObject{{"name", status.name},
                    {"state", status.state},
                    {"detail", status.detail},
                    {"updated_at", status.updated_at.empty() ? Json() : Json(status.updated_at)},
                    {"seconds", status.seconds}};
}

// One station of `run`, from its stages: fresh when all are, stale when it was done once, missing otherwise.
Result<StationStatus> planned_status(Workspace& workspace, const std::string& station,
                                     const std::vector<PlannedStage>& plan) {
  StationStatus status{station, "fresh", "", "", 0};
  bool fresh = true, known = false;
  for (const PlannedStage& planned : plan) {
    if (planned.stage->station != station) continue;
    const auto record = planned.record ? planned.record : TRY(latest_record(workspace, planned.stage->name));
    fresh = fresh && planned.record.has_value();
    if (!record) continue;
    known = true;
    status.detail += (status.detail.empty() ? "" : "; ") + record->detail;
    status.updated_at = std::max(status.updated_at, record->created_at);
    status.seconds += record->seconds;
  }
  if (!fresh) status.state = known ? "stale" : "missing";
  return status;
}

Status add_failure(Workspace& workspace, StationStatus& status) {
  if (status.state == "fresh") return {};
  const auto row = TRY(workspace.registry().database().query_one(
      "SELECT message, created_at FROM station_failures WHERE station = ?", {status.name}));
  if (!row || row->text(1) < status.updated_at) return {};
  status.state = "failed";
  status.detail = row->text(0);
  status.updated_at = row->text(1);
  return {};
}

Result<StationStatus> listen_status(Workspace& workspace) {
  const int64_t answers = TRY(count_answers(workspace.registry()));
  const FeedbackCounts counts = TRY(count_feedback(workspace.registry()));
  StationStatus status{"listen", answers > 0 ? "fresh" : "missing", "", "", 0};
  status.detail =
      fmt::format("{}, {} up, {} down, {}", count_of(static_cast<uint64_t>(answers), "answers"), counts.up,
                  counts.down, count_of(static_cast<uint64_t>(counts.corrections), "corrections"));
  const auto row = TRY(workspace.registry().database().query_one(
      "SELECT max(t) FROM (SELECT max(created_at) AS t FROM answers UNION ALL SELECT max(created_at) FROM "
      "feedback) AS m"));
  if (row) status.updated_at = row->text(0);
  return status;
}

Result<StationStatus> improve_station(Workspace& workspace) {
  const FeedbackCounts counts = TRY(count_feedback(workspace.registry()));
  const auto last = TRY(latest_improvement(workspace.registry()));
  const auto fresh_corrections = static_cast<uint64_t>(counts.new_corrections);
  StationStatus status{"improve", last ? "fresh" : "missing", "", "", 0};
  if (last) {
    status.updated_at = last->created_at;
    status.seconds = json_number_or(last->report, "seconds", 0).value_or(0);
    status.detail = json_string_or(last->report, "headline", "").value_or("");
  }
  if (counts.new_corrections >= workspace.config().improve.min_corrections) {
    status.state = "stale";
    status.detail = count_of(fresh_corrections, "new corrections") + " to learn from";
  }
  return status;
}

// The stages when what they start from cannot be read now: none is known to be fresh.
std::vector<PlannedStage> unknown_plan(const WorkspaceConfig& config) {
  std::vector<PlannedStage> plan;
  for (const Stage& stage : stages(config)) plan.push_back({&stage, "", std::nullopt});
  return plan;
}

// The stations of `run`. Sources that cannot be read now (a variable or a disk that this shell lacks) fail
// the first station only if it was never done.
Result<std::vector<StationStatus>> planned_stations(Workspace& workspace) {
  const auto plan = plan_stages(workspace, true);
  const auto& known = plan ? *plan : unknown_plan(workspace.config());
  std::vector<StationStatus> all;
  for (const std::string& name : run_stations()) all.push_back(TRY(planned_status(workspace, name, known)));
  for (StationStatus& status : all) TRY(add_failure(workspace, status));
  if (!plan && all.front().state != "failed") {
    StationStatus& first = all.front();
    const std::string why = plan.error().to_string();
    if (first.state == "missing") first.state = "failed";
    first.detail += first.detail.empty() ? why : "; cannot be looked at now: " + why;
  }
  return all;
}

Result<Json> version_json(Registry& registry, const std::string& alias) {
  const auto target = TRY(alias_target(registry, alias));
  if (!target) return Json();
  const ModelVersion version = TRY(find_version(registry, *target));
  return Json(JsonObject{
      {"version", version.version}, {"created_at", version.created_at}, {"metrics", version.metrics}});
}

Result<Json> report_of(Workspace& workspace, const std::string& stage, const std::string& role,
                       const char* file) {
  const auto record = TRY(latest_record(workspace, stage));
  if (!record || !record->outputs.contains(role)) return Json();
  const auto artifact = artifact_path(workspace.registry(), record->outputs.at(role));
  if (!artifact) return Json();
  const Path path = *file == '\0' ? *artifact : *artifact / file;
  return parse_json(TRY(read_file(path)));
}

}  // namespace

Result<Json> wheel_status(Workspace& workspace) {
  std::vector<StationStatus> stations = TRY(planned_stations(workspace));
  stations.push_back(TRY(listen_status(workspace)));
  StationStatus improving = TRY(improve_station(workspace));
  TRY(add_failure(workspace, improving));
  stations.push_back(std::move(improving));
  const auto running = find_running(workspace.registry());
  JsonArray list;
  for (StationStatus& station : stations) {
    if (running && running->station == station.name) {
      if (station.state == "failed") station.detail.clear();  // of an earlier attempt
      station.state = "running";
      station.updated_at = running->since;
    }
    list.push_back(to_json(station));
  }
  return Json(JsonObject{
      {"workspace", JsonObject{{"name", workspace.config().name}, {"path", workspace.path().string()}}},
      {"production", TRY(version_json(workspace.registry(), "production"))},
      {"candidate", TRY(version_json(workspace.registry(), "candidate"))},
      {"stations", std::move(list)}});
}

Result<Json> data_reports(Workspace& workspace) {
  return Json(JsonObject{{"collect", TRY(report_of(workspace, "collect", "collect_report", ""))},
                         {"prepare", TRY(report_of(workspace, "prepare", "rows", "report.json"))},
                         {"tokenizer", TRY(report_of(workspace, "tokenizer", "tokenizer_report", ""))}});
}

Result<Json> evaluation_report(Workspace& workspace, const std::string& version) {
  const ModelVersion found = TRY(find_version(workspace.registry(), version));
  const std::string digest = TRY(json_string_or(found.metrics, "report", ""));
  if (digest.empty()) return fail(ErrorCode::kNotFound, "{} has no evaluation report", found.version);
  const Path folder = TRY(artifact_path(workspace.registry(), digest));
  return parse_json(TRY(read_file(folder / "report.json")));
}

}  // namespace volant
