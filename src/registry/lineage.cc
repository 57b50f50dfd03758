#include "registry/lineage.h"

#include <algorithm>
#include <set>

#include "registry/answers.h"
#include "registry/artifacts.h"
#include "registry/runs.h"
#include "registry/versions.h"

namespace volant {
namespace {

constexpr size_t kMaxNodes = 100000;
constexpr size_t kMinDigestPrefix = 8;

using Key = std::pair<std::string, std::string>;

Result<std::vector<LineageNode>> walk(Registry& registry, const LineageNode& start, const char* sql) {
  std::vector<LineageNode> found{start};
  std::set<Key> seen{{start.kind, start.id}};
  for (size_t next = 0; next < found.size(); ++next) {
    const LineageNode node = found[next];
    for (const SqlRow& row : TRY(registry.database().query(sql, {node.kind, node.id}))) {
      if (!seen.emplace(row.text(0), row.text(1)).second) continue;
      found.push_back({row.text(0), row.text(1)});
      if (found.size() > kMaxNodes) return fail(ErrorCode::kLimit, "more than {} lineage nodes", kMaxNodes);
    }
  }
  found.erase(found.begin());
  return found;
}

Json node_json(const LineageNode& node) { return JsonObject{{"kind", node.kind}, {"id", node.id}}; }

// Sources of `nodes` with those of their files that are among `nodes`.
Result<JsonArray> sources_json(Registry& registry, const std::vector<LineageNode>& nodes) {
  std::set<std::string> files;
  for (const LineageNode& node : nodes) {
    if (node.kind == "file") files.insert(node.id);
  }
  JsonArray sources;
  for (const LineageNode& node : nodes) {
    if (node.kind != "source") continue;
    JsonArray list;
    const auto rows =
        TRY(registry.database().query("SELECT to_id FROM lineage WHERE from_kind = 'source' AND from_id = ? "
                                      "AND to_kind = 'file' ORDER BY to_id",
                                      {node.id}));
    for (const SqlRow& row : rows) {
      const std::string id = row.text(0);
      if (!files.contains(id)) continue;
      const size_t at = id.rfind('@');
      list.push_back(JsonObject{{"path", id.substr(0, at)}, {"digest", id.substr(at + 1)}});
    }
    sources.push_back(JsonObject{{"name", node.id}, {"files", std::move(list)}});
  }
  return sources;
}

Result<JsonArray> feedback_json(Registry& registry, const std::string& answer_id) {
  JsonArray feedback;
  const auto rows = TRY(registry.database().query(
      "SELECT id, rating, correction, comment, state FROM feedback WHERE answer_id = ? ORDER BY id",
      {answer_id}));
  for (const SqlRow& row : rows) {
    feedback.push_back(JsonObject{{"id", row.integer(0)},
                                  {"rating", row.text(1)},
                                  {"correction", row.text(2)},
                                  {"comment", row.text(3)},
                                  {"state", row.text(4)}});
  }
  return feedback;
}

// The node that `id` names: exact ids first, then the path of a file, then the beginning of a digest.
Result<LineageNode> find_node(Registry& registry, const std::string& id) {
  const bool is_version = find_version(registry, id).has_value();
  if (is_version) return LineageNode{"version", TRY(find_version(registry, id)).version};
  const auto exact = TRY(registry.database().query_one(
      "SELECT kind, id FROM (SELECT from_kind AS kind, from_id AS id FROM lineage "
      "UNION SELECT to_kind, to_id FROM lineage UNION SELECT 'run', id FROM runs) AS nodes "
      "WHERE id = ? ORDER BY kind LIMIT 1",
      {id}));
  if (exact) return LineageNode{exact->text(0), exact->text(1)};
  const auto file = TRY(registry.database().query_one(
      "SELECT to_id FROM lineage WHERE to_kind = 'file' AND substr(to_id, 1, ?) = ? ORDER BY to_id LIMIT 1",
      {static_cast<int64_t>(id.size()) + 1, id + "@"}));
  if (file) return LineageNode{"file", file->text(0)};
  if (id.size() >= kMinDigestPrefix) {
    const auto rows =
        TRY(registry.database().query("SELECT digest FROM artifacts WHERE substr(digest, 1, ?) = ? LIMIT 2",
                                      {static_cast<int64_t>(id.size()), id}));
    if (rows.size() > 1)
      return fail(ErrorCode::kInvalidArgument, "'{}' fits several artifacts; give more digits", id);
    if (!rows.empty()) return LineageNode{"artifact", rows[0].text(0)};
  }
  return fail(ErrorCode::kNotFound,
              "'{}' is no answer, version, run, artifact, source or file that this workspace knows", id);
}

}  // namespace

Status add_edge(Registry& registry, const LineageNode& from, const LineageNode& to, const std::string& role) {
  TRY(
      registry.database().execute("INSERT INTO lineage (from_kind, from_id, to_kind, to_id, role) "
                                  "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                                  {from.kind, from.id, to.kind, to.id, role}));
  return {};
}

Result<std::vector<LineageNode>> ancestors(Registry& registry, const LineageNode& node) {
  return walk(
      registry, node,
      "SELECT from_kind, from_id FROM lineage WHERE to_kind = ? AND to_id = ? ORDER BY from_kind, from_id");
}

Result<std::vector<LineageNode>> descendants(Registry& registry, const LineageNode& node) {
  return walk(
      registry, node,
      "SELECT to_kind, to_id FROM lineage WHERE from_kind = ? AND from_id = ? ORDER BY to_kind, to_id");
}

Result<Json> trace_answer(Registry& registry, const std::string& answer_id) {
  const RecordedAnswer answer = TRY(find_answer(registry, answer_id));
  JsonObject out{{"answer", to_json(answer)},
                 {"version", Json()},
                 {"run", Json()},
                 {"datasets", JsonArray()},
                 {"sources", JsonArray()}};
  JsonArray chain{node_json({"answer", answer.id}), node_json({"version", answer.version})};
  if (const auto version = find_version(registry, answer.version)) {
    out["version"] = to_json(*version);
    if (const auto run = find_run(registry, version->run_id)) out["run"] = to_json(*run);
    const auto nodes = TRY(ancestors(registry, {"version", version->version}));
    JsonArray datasets;
    for (const LineageNode& node : nodes) {
      chain.push_back(node_json(node));
      if (node.kind != "artifact") continue;
      const Artifact artifact = TRY(find_artifact(registry, node.id));
      if (artifact.kind != "documents" && artifact.kind != "rows" && artifact.kind != "corrections") continue;
      datasets.push_back(
          JsonObject{{"digest", artifact.digest}, {"kind", artifact.kind}, {"bytes", artifact.bytes}});
    }
    out["datasets"] = std::move(datasets);
    out["sources"] = TRY(sources_json(registry, nodes));
  }
  out["chain"] = std::move(chain);
  out["feedback"] = TRY(feedback_json(registry, answer_id));
  return Json(std::move(out));
}

Result<Json> trace_forward(Registry& registry, const std::string& id) {
  const LineageNode start = TRY(find_node(registry, id));
  std::vector<LineageNode> nodes = TRY(descendants(registry, start));
  JsonArray versions, runs, artifacts;
  int64_t answers = 0;
  if (start.kind == "version") nodes.push_back(start);
  for (const LineageNode& node : nodes) {
    if (node.kind == "run") runs.emplace_back(node.id);
    if (node.kind == "artifact") {
      const auto artifact = find_artifact(registry, node.id);
      artifacts.push_back(JsonObject{{"digest", node.id}, {"kind", artifact ? artifact->kind : ""}});
    }
    if (node.kind != "version") continue;
    if (node.id != start.id) versions.emplace_back(node.id);
    answers += TRY(registry.database().query_one("SELECT count(*) FROM answers WHERE version = ?", {node.id}))
                   ->integer(0);
  }
  JsonObject out{{"node", node_json(start)},
                 {"versions", std::move(versions)},
                 {"runs", std::move(runs)},
                 {"artifacts", std::move(artifacts)},
                 {"answers", answers}};
  std::vector<LineageNode> back = TRY(ancestors(registry, start));
  JsonArray made_from;
  for (const LineageNode& node : back) made_from.push_back(node_json(node));
  out["made_from"] = std::move(made_from);
  out["sources"] = TRY(sources_json(registry, back));
  return Json(std::move(out));
}

Result<Json> trace(Registry& registry, const std::string& id) {
  if (find_answer(registry, id)) return trace_answer(registry, id);
  return trace_forward(registry, id);
}

}  // namespace volant
