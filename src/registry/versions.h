// Model versions "v1", "v2", ... and the aliases `candidate`, `canary` and `production` that point at them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct ModelVersion {
  std::string version;  // "v3"
  std::string created_at;
  std::string run_id;          // the training run
  std::string parent;          // version it was fine-tuned from; empty: from scratch
  std::string dataset;         // digest of the rows it learned from
  std::string hf;              // digest of the Hugging Face folder
  std::string gguf;            // digest of the file that is served
  uint64_t bytes = 0;          // of the served file
  Json metrics, parity, gate;  // objects; gate: {"passed":bool,"reasons":[...],...}
  std::vector<std::string> aliases;
};
// {"version","created_at","aliases","run_id","parent","dataset","artifacts":{"hf","gguf"},"metrics","parity","gate","bytes"}
Json to_json(const ModelVersion& version);

// Records a new version, or gives the one that this run and file already are.
Result<ModelVersion> register_version(Registry& registry, const ModelVersion& version);
// By "v3", "3" or an alias.
Result<ModelVersion> find_version(Registry& registry, const std::string& version_or_alias);
// Newest first.
Result<std::vector<ModelVersion>> list_versions(Registry& registry);
// What an alias points at now, if anything. Cheap: a server may ask every second.
Result<std::optional<std::string>> alias_target(Registry& registry, const std::string& alias);
Status set_alias(Registry& registry, const std::string& alias, const std::string& version,
                 const std::string& actor, const std::string& reason);
Status set_version_gate(Registry& registry, const std::string& version, const Json& gate);

struct PromoteOptions {
  std::string actor = "cli";  // who: "cli", "api", "wheel", "improve"
  std::string reason;
  bool force = false;  // even though the gate refused; the audit log says so
};
// Makes `version` production. kRefused, with the gate's reasons, when its gate did not pass or has not run.
Result<ModelVersion> promote(Registry& registry, const std::string& version,
                             const PromoteOptions& options = {});
// Production goes back to the version before it. kNotFound when there is none.
Result<ModelVersion> rollback(Registry& registry, const std::string& actor = "cli");
// The GGUF file (or the Hugging Face folder when there is none) of a version.
Result<Path> version_model_path(Registry& registry, const ModelVersion& version);

}  // namespace volant
