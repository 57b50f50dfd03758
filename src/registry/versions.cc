#include "registry/versions.h"

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "registry/artifacts.h"
#include "registry/lineage.h"

namespace volant {
namespace {

constexpr const char* kColumns =
    "number, created_at, run_id, parent, dataset, hf, gguf, bytes, metrics, parity, gate";

Json object_of(const std::string& text) {
  auto parsed = parse_json(text);
  return parsed && parsed->is_object() ? std::move(*parsed) : Json(JsonObject());
}

std::string name_of(int64_t number) { return fmt::format("v{}", number); }

ModelVersion version_of(const SqlRow& row) {
  ModelVersion version;
  version.version = name_of(row.integer(0));
  version.created_at = row.text(1);
  version.run_id = row.text(2);
  version.parent = row.text(3);
  version.dataset = row.text(4);
  version.hf = row.text(5);
  version.gguf = row.text(6);
  version.bytes = static_cast<uint64_t>(row.integer(7));
  version.metrics = object_of(row.text(8));
  version.parity = object_of(row.text(9));
  version.gate = object_of(row.text(10));
  return version;
}

// The number in "v3" or "3".
std::optional<int64_t> parse_number(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < 1)
    return std::nullopt;
  return number;
}

Status add_aliases(Registry& registry, std::vector<ModelVersion>& versions) {
  const auto rows = TRY(registry.database().query("SELECT alias, version FROM aliases ORDER BY alias"));
  for (ModelVersion& version : versions) {
    for (const SqlRow& row : rows) {
      if (name_of(row.integer(1)) == version.version) version.aliases.push_back(row.text(0));
    }
  }
  return {};
}

Status add_edges(Registry& registry, const ModelVersion& version) {
  const LineageNode run{"run", version.run_id};
  const LineageNode self{"version", version.version};
  TRY(add_edge(registry, run, self, "model"));
  if (!version.dataset.empty()) TRY(add_edge(registry, {"artifact", version.dataset}, run, "rows"));
  if (!version.parent.empty()) TRY(add_edge(registry, {"version", version.parent}, run, "parent"));
  if (!version.hf.empty()) {
    TRY(add_edge(registry, run, {"artifact", version.hf}, "model"));
    TRY(add_edge(registry, {"artifact", version.hf}, self, "hf"));
  }
  if (!version.gguf.empty() && version.gguf != version.hf) {
    if (!version.hf.empty())
      TRY(add_edge(registry, {"artifact", version.hf}, {"artifact", version.gguf}, "export"));
    TRY(add_edge(registry, {"artifact", version.gguf}, self, "gguf"));
  }
  return {};
}

}  // namespace

Json to_json(const ModelVersion& version) {
  JsonArray aliases;
  for (const std::string& alias : version.aliases) aliases.emplace_back(alias);
  return JsonObject{{"version", version.version},
                    {"created_at", version.created_at},
                    {"aliases", aliases},
                    {"run_id", version.run_id},
                    {"parent", version.parent.empty() ? Json() : Json(version.parent)},
                    {"dataset", version.dataset},
                    {"artifacts", JsonObject{{"hf", version.hf}, {"gguf", version.gguf}}},
                    {"metrics", version.metrics},
                    {"parity", version.parity},
                    {"gate", version.gate},
                    {"bytes", version.bytes}};
}

Result<ModelVersion> register_version(Registry& registry, const ModelVersion& version) {
  Database& database = registry.database();
  Transaction transaction = TRY(Transaction::begin(database));
  const auto known = TRY(database.query_one("SELECT number FROM versions WHERE run_id = ? AND gguf = ?",
                                            {version.run_id, version.gguf}));
  if (known) {
    TRY(transaction.commit());
    return find_version(registry, name_of(known->integer(0)));
  }
  const int64_t number =
      TRY(database.query_one("SELECT coalesce(max(number), 0) + 1 FROM versions"))->integer(0);
  const auto text = [](const Json& json) { return json.is_object() ? dump_json(json) : std::string("{}"); };
  TRY(database.execute(
      fmt::format("INSERT INTO versions ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kColumns),
      {number, now_iso8601(), version.run_id, version.parent, version.dataset, version.hf, version.gguf,
       static_cast<int64_t>(version.bytes), text(version.metrics), text(version.parity),
       text(version.gate)}));
  ModelVersion named = version;
  named.version = name_of(number);
  TRY(add_edges(registry, named));
  TRY(transaction.commit());
  return find_version(registry, named.version);
}

Result<ModelVersion> find_version(Registry& registry, const std::string& version_or_alias) {
  std::optional<int64_t> number = parse_number(version_or_alias);
  if (!number) {
    const auto target = TRY(alias_target(registry, version_or_alias));
    if (target) number = parse_number(*target);
  }
  std::optional<SqlRow> row;
  if (number) {
    row = TRY(registry.database().query_one(fmt::format("SELECT {} FROM versions WHERE number = ?", kColumns),
                                            {*number}));
  }
  if (!row) {
    return fail(ErrorCode::kNotFound, "no model version or alias '{}'; 'volant models' lists them",
                version_or_alias);
  }
  std::vector<ModelVersion> versions{version_of(*row)};
  TRY(add_aliases(registry, versions));
  return std::move(versions.front());
}

Result<std::vector<ModelVersion>> list_versions(Registry& registry) {
  const auto rows =
      TRY(registry.database().query(fmt::format("SELECT {} FROM versions ORDER BY number DESC", kColumns)));
  std::vector<ModelVersion> versions;
  for (const SqlRow& row : rows) versions.push_back(version_of(row));
  TRY(add_aliases(registry, versions));
  return versions;
}

Status set_version_gate(Registry& registry, const std::string& version, const Json& gate) {
  const std::optional<int64_t> number = parse_number(version);
  const int64_t changed =
      number ? TRY(registry.database().execute("UPDATE versions SET gate = ? WHERE number = ?",
                                               {dump_json(gate), *number}))
             : 0;
  if (changed == 0) return fail(ErrorCode::kNotFound, "no model version '{}'", version);
  return {};
}

Result<Path> version_model_path(Registry& registry, const ModelVersion& version) {
  return artifact_path(registry, version.gguf.empty() ? version.hf : version.gguf);
}

}  // namespace volant
