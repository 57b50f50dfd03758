// Runs: every execution of a station, with its folder `.volant/runs/<id>/`, status and summary.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct Run {
  std::string id;      // "train-20261122-091502-3f9a"
  std::string kind;    // "collect", "prepare", "train", "evaluate", "compress", "deploy", "improve"
  std::string status;  // "running", "finished", "failed", "stopped"
  std::string key;     // digest of inputs and config; one unfinished run a key
  std::string created_at, finished_at;
  double seconds = 0;
  Json summary;  // object; what a list shows
};
// {"id","kind","status","created_at","seconds","summary"}
Json to_json(const Run& run);

// The unfinished run of this kind and key, set to running again, or a new one; its folder exists.
Result<Run> start_run(Registry& registry, const std::string& kind, const std::string& key);
Status finish_run(Registry& registry, const std::string& id, const std::string& status, const Json& summary,
                  double seconds);
Result<Run> find_run(Registry& registry, const std::string& id);
// Newest first.
Result<std::vector<Run>> list_runs(Registry& registry, int64_t limit = 100);
Path run_dir(const Registry& registry, const std::string& id);
// events.jsonl of a run, as an array;
// a half-written last line is left out. At most `limit` of the last events.
Result<JsonArray> run_events(Registry& registry, const std::string& id, size_t limit = 20000);

// The same of a file; no file gives no events.
Result<JsonArray> read_events(const Path& file, size_t limit = 20000);

}  // namespace volant
