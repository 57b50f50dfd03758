#include "wheel/run.h"

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/nearest.h"
#include "base/stop.h"
#include "registry/versions.h"
#include "wheel/plan.h"
#include "wheel/pretrained.h"
#include "wheel/trainer.h"

namespace volant {
namespace {

Status check_station(const std::string& name) {
  const auto& known = run_stations();
  if (std::find(known.begin(), known.end(), name) != known.end()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "expected a station (collect, prepare, train, evaluate, compress or deploy), got '{}'{}", name,
              did_you_mean(name, known));
}

// One station's stages, folded into one line for people.
struct Fold {
  StationResult result;
  void add(const Stage& stage, const StageRecord& record, bool fresh, double seconds) {
    if (result.name != stage.station) result = StationResult{stage.station, true, 0, ""};
    result.fresh = result.fresh && fresh;
    result.seconds += seconds;
    result.detail += (result.detail.empty() ? "" : "; ") + record.detail;
  }
};

bool is_last_of_station(const std::vector<Stage>& all, size_t index) {
  return index + 1 == all.size() || std::string_view(all[index].station) != all[index + 1].station;
}

class Round {
 public:
  Round(Workspace& workspace, const RunOptions& options) : workspace_(workspace), options_(options) {}

  Status go() {
    const auto& all = stages(workspace_.config());
    for (size_t i = 0; i < all.size(); ++i) {
      const Stage& stage = all[i];
      if (stop_requested()) return fail(ErrorCode::kCancelled, "stopped; the same command goes on from here");
      TRY(do_stage(stage));
      if (!is_last_of_station(all, i)) continue;
      report.stations.push_back(fold_.result);
      if (options_.on_station) options_.on_station(fold_.result);
      if (options_.until == stage.station) break;
    }
    return {};
  }

  Outputs outputs;
  RunReport report;
  bool deployed_now = false;

 private:
  Status do_stage(const Stage& stage) {
    const double started = steady_seconds();
    const std::string key = TRY(stage_key(stage, workspace_, outputs, false));
    std::optional<StageRecord> record;
    if (!options_.force.contains(stage.station)) record = TRY(find_record(workspace_, stage.name, key));
    const bool fresh = record.has_value();
    if (!fresh) {
      announce(stage);
      record = TRY(run_stage(stage, workspace_, outputs, key));
      if (std::string_view(stage.name) == "train") {
        drop_checkpoints(workspace_.registry(), record->outputs.at("train_run"));
      }
      deployed_now = deployed_now || std::string_view(stage.name) == "deploy";
    }
    fold_.add(stage, *record, fresh, fresh ? 0 : steady_seconds() - started);
    for (const auto& [role, value] : record->outputs) outputs[role] = value;
    return {};
  }

  void announce(const Stage& stage) {
    if (announced_ == stage.station || !options_.on_start) return;
    announced_ = stage.station;
    options_.on_start(stage.station);
  }

  Workspace& workspace_;
  const RunOptions& options_;
  Fold fold_;
  std::string announced_;
};

Result<RunReport> dry_run(Workspace& workspace, const RunOptions& options) {
  RunReport report;
  Fold fold;
  const std::vector<PlannedStage> plan = TRY(plan_stages(workspace, false));
  bool forced = false;
  for (size_t i = 0; i < plan.size(); ++i) {
    const Stage& stage = *plan[i].stage;
    forced = forced || options.force.contains(stage.station);
    const bool fresh = plan[i].record.has_value() && !forced;
    fold.add(stage, fresh ? *plan[i].record : StageRecord(), fresh, 0);
    if (!is_last_of_station(stages(workspace.config()), i)) continue;
    if (!fold.result.fresh) fold.result.detail = "would be done";
    report.stations.push_back(fold.result);
    if (options.on_station) options.on_station(fold.result);
    if (options.until == stage.station) break;
  }
  return report;
}

// The model to go on from, downloaded when it is an id that is not there yet.
Status fetch_start(const Workspace& workspace) {
  const WorkspaceConfig& config = workspace.config();
  const std::string name = config.predict ? TRY(json_string_or(Json(config.predict->model), "init_from", ""))
                                          : config.model.init_from;
  if (!name.empty()) (void)TRY(fetch_pretrained(workspace.path(), name));
  return {};
}

// What the deploy station decided, now or earlier.
Status add_decision(Workspace& workspace, const Round& round, RunReport& report) {
  Registry& registry = workspace.registry();
  report.production = TRY(alias_target(registry, "production")).value_or("");
  const auto version = round.outputs.find("version");
  if (version == round.outputs.end()) return {};
  report.version = version->second;
  report.refused = round.outputs.at("decision") == "refused" && report.production != report.version;
  const ModelVersion found = TRY(find_version(registry, report.version));
  const Json* reasons = json_find(found.gate, "reasons");
  if (reasons != nullptr && reasons->is_array()) {
    for (const Json& reason : reasons->as_array()) {
      if (reason.is_string()) report.reasons.emplace_back(reason.as_string());
    }
  }
  return {};
}

}  // namespace

const std::vector<std::string>& run_stations() {
  static const std::vector<std::string> names = {"collect",  "prepare",  "train",
                                                 "evaluate", "compress", "deploy"};
  return names;
}

Json to_json(const RunReport& report) {
  JsonArray stations;
  for (const StationResult& station : report.stations) {
    stations.push_back(JsonObject{{"name", station.name},
                                  {"fresh", station.fresh},
                                  {"seconds", station.seconds},
                                  {"detail", station.detail}});
  }
  JsonArray reasons;
  for (const std::string& reason : report.reasons) reasons.emplace_back(reason);
  const auto name = [](const std::string& version) { return version.empty() ? Json() : Json(version); };
  return JsonObject{{"stations", std::move(stations)},
                    {"version", name(report.version)},
                    {"production", name(report.production)},
                    {"refused", report.refused},
                    {"reasons", std::move(reasons)}};
}

Result<RunReport> run_wheel(Workspace& workspace, const RunOptions& options) {
  if (!options.until.empty()) TRY(check_station(options.until));
  for (const std::string& name : options.force) TRY(check_station(name));
  if (options.dry_run) return dry_run(workspace, options);
  const LockFile lock = TRY(workspace.lock());
  if (options.until != run_stations().front()) TRY(fetch_start(workspace));
  Round round(workspace, options);
  TRY(round.go());
  RunReport report = std::move(round.report);
  report.deployed_now = round.deployed_now;
  TRY(add_decision(workspace, round, report));
  return report;
}

}  // namespace volant
