// `volant run`: goes round the stations from collect to deploy and does what is stale. Stopped or killed at
// any moment, the next call goes on from there.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "wheel/workspace.h"

namespace volant {

// collect, prepare, train, evaluate, compress, deploy.
const std::vector<std::string>& run_stations();

struct StationResult {
  std::string name;
  bool fresh = false;  // nothing to do
  double seconds = 0;
  std::string detail;  // "5,312 documents from 2 sources"
};

struct RunOptions {
  std::string until;                                     // last station; empty: deploy
  std::set<std::string> force;                           // stations done again even when fresh
  bool dry_run = false;                                  // say what is stale, do nothing
  std::function<void(const StationResult&)> on_station;  // after each one
  std::function<void(const std::string& name)> on_start;
};

struct RunReport {
  std::vector<StationResult> stations;
  std::string version;  // the version of this state; empty before compress
  std::string production;
  bool deployed_now = false;  // the gate decided in this run, not in an earlier one
  bool refused = false;       // it said no; its reasons below
  std::vector<std::string> reasons;
};
Json to_json(const RunReport& report);

Result<RunReport> run_wheel(Workspace& workspace, const RunOptions& options);

}  // namespace volant
