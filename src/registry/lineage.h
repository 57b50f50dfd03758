// Lineage: edges "this was made from that" between sources,
// artifacts, runs, versions and answers, walked both ways.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct LineageNode {
  std::string kind;  // "source", "file", "artifact", "run", "version", "feedback"
  std::string id;    // source name, "path@digest", digest, run id, "v3", number
};

// Adding an edge twice is adding it once. `role`: "documents", "rows", "tokenizer", ...
Status add_edge(Registry& registry, const LineageNode& from, const LineageNode& to, const std::string& role);

// Everything that `node` was made from (back) or that was
// made from it (forward), nearest first, without itself.
Result<std::vector<LineageNode>> ancestors(Registry& registry, const LineageNode& node);
Result<std::vector<LineageNode>> descendants(Registry& registry, const LineageNode& node);

// Back from an answer: {"answer":{...},"version":{...},"run":{...},"datasets":[{"digest","kind","bytes"}],
// "sources":[{"name","files":[{"path","digest"}]}],"chain":[{"kind","id"}],"feedback":[...]}.
Result<Json> trace_answer(Registry& registry, const std::string& answer_id);
// Forward from a source name, file path, artifact digest (or its first 8 digits or more), run id or version:
// {"node":{"kind","id"},"versions":[...],"runs":[...],"artifacts":[...],"answers":n}.
Result<Json> trace_forward(Registry& registry, const std::string& id);
// Whichever of the two fits `id`.
Result<Json> trace(Registry& registry, const std::string& id);

}  // namespace volant
