// Artifacts: files and folders that a stage made,
// kept under the SHA-256 of their bytes and never changed again.
#pragma once
#include <string>
#include <vector>

#include "registry/registry.h"

namespace volant {

struct Artifact {
  std::string digest;  // 64 hex digits
  std::string kind;    // "documents", "rows", "tokenizer", "shards", "report", "hf_model", "gguf", ...
  uint64_t bytes = 0;
  std::string created_at;
};

// Moves a finished file or folder (on the same file system, best from tmp_dir()) to its place, then records
// it. A second artifact of the same bytes is the first one.
Result<Artifact> put_artifact(Registry& registry, const Path& built, const std::string& kind);
Result<Artifact> find_artifact(Registry& registry, const std::string& digest);
// Where the artifact's file or folder lies:
// artifacts/<digest>/<its name>. kNotFound when it is gone from disk.
Result<Path> artifact_path(Registry& registry, const std::string& digest);

}  // namespace volant
