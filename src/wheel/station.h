// Stages: functions from input artifacts and a part of the config to output artifacts, done once for each
// key. The key is the digest of the stage's name, its code version, its settings and the digests of its
// inputs. A stage works in a scratch folder, its outputs become artifacts, and one transaction records them:
// killed anywhere, it is done again.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/artifacts.h"
#include "registry/lineage.h"
#include "registry/runs.h"
#include "wheel/workspace.h"

namespace volant {

// What stages have made, by role ("rows", "tokenizer", "hf"):
// digests of artifacts, or plain names ("train_run").
using Outputs = std::map<std::string, std::string>;

struct StageRecord {
  std::string stage, key;
  Outputs outputs;
  std::string detail, created_at;
  double seconds = 0;
};

// A finished file or folder in the scratch folder that is to become an artifact.
struct Product {
  std::string role, kind;
  Path path;
};

struct StageResult {
  std::vector<Product> products;
  Outputs names;                  // outputs that are no artifacts
  std::vector<LineageNode> from;  // further nodes that it was made from (files)
  std::string detail;             // "5,312 documents from 2 sources"
  Json summary = JsonObject();    // of the run
};

struct StageContext {
  Workspace& workspace;
  const Outputs& inputs;
  Path scratch;  // empty folder below .volant/tmp, removed afterwards
  Run run;
  // The path of the input artifact with this role.
  Result<Path> input(const std::string& role) const;
};

struct Stage {
  const char* name;                // "tokenizer"
  const char* station;             // "prepare": what people see
  int code_version;                // raised when the same inputs give other outputs
  std::vector<std::string> needs;  // roles
  // Its part of the config. `cheap`: must not read big files (status); what cannot be known then makes a key
  // that fits no record.
  Result<Json> (*settings)(Workspace& workspace, bool cheap);
  Result<StageResult> (*run)(StageContext& context);
};

// All stages of a workspace in order; of a language model: collect, prepare, tokenizer, shards, train,
// evaluate, compress, deploy.
const std::vector<Stage>& stages(const WorkspaceConfig& config);

Result<std::string> stage_key(const Stage& stage, Workspace& workspace, const Outputs& inputs, bool cheap);
// The record of this key, when all its artifacts are still there.
Result<std::optional<StageRecord>> find_record(Workspace& workspace, const std::string& stage,
                                               const std::string& key);
Result<std::optional<StageRecord>> latest_record(Workspace& workspace, const std::string& stage);
// Does the stage and records it; errors are recorded as the station's failure.
Result<StageRecord> run_stage(const Stage& stage, Workspace& workspace, const Outputs& inputs,
                              const std::string& key);

// "12,345 documents", "1 document": a count with its noun.
std::string count_of(uint64_t n, std::string_view plural);

}  // namespace volant
