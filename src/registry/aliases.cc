// Aliases of versions.h: who points where, promotion and rollback.
#include <algorithm>
#include <array>

#include "base/clock.h"
#include "registry/audit.h"
#include "registry/versions.h"

namespace volant {
namespace {

constexpr std::array<std::string_view, 3> kAliases = {"candidate", "canary", "production"};

int64_t number_of(const std::string& version) { return std::stoll(version.substr(1)); }

// Points `alias` at `version` and keeps the history; inside a transaction.
Status move_alias(Registry& registry, const std::string& alias, const std::string& version,
                  const std::string& action, const std::string& actor, const std::string& reason) {
  Database& database = registry.database();
  const std::string now = now_iso8601();
  const auto before = TRY(database.query_one("SELECT version FROM aliases WHERE alias = ?", {alias}));
  const SqlValue previous = before ? SqlValue(before->integer(0)) : SqlValue(nullptr);
  TRY(database.execute(
      "INSERT INTO aliases (alias, version, updated_at) VALUES (?, ?, ?) "
      "ON CONFLICT (alias) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at",
      {alias, number_of(version), now}));
  TRY(database.execute(
      "INSERT INTO alias_history (alias, version, previous, action, actor, reason, created_at) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)",
      {alias, number_of(version), previous, action, actor, reason, now}));
  return {};
}

// The promotions that were not rolled back, oldest first: the last one is production.
Result<std::vector<int64_t>> production_stack(Registry& registry) {
  const auto rows = TRY(registry.database().query(
      "SELECT version, action FROM alias_history WHERE alias = 'production' ORDER BY id"));
  std::vector<int64_t> stack;
  for (const SqlRow& row : rows) {
    if (row.text(1) != "rollback") {
      stack.push_back(row.integer(0));
    } else if (!stack.empty()) {
      stack.pop_back();
    }
  }
  return stack;
}

std::string gate_reasons(const Json& gate) {
  std::string all;
  const Json* reasons = json_find(gate, "reasons");
  if (reasons != nullptr && reasons->is_array()) {
    for (const Json& reason : reasons->as_array()) {
      if (reason.is_string()) all += (all.empty() ? "" : "; ") + std::string(reason.as_string());
    }
  }
  return all.empty() ? "its gate has not run" : all;
}

}  // namespace

Result<std::optional<std::string>> alias_target(Registry& registry, const std::string& alias) {
  const auto row = TRY(registry.database().query_one("SELECT version FROM aliases WHERE alias = ?", {alias}));
  if (!row) return std::optional<std::string>();
  return std::optional<std::string>(fmt::format("v{}", row->integer(0)));
}

Status set_alias(Registry& registry, const std::string& alias, const std::string& version,
                 const std::string& actor, const std::string& reason) {
  if (std::find(kAliases.begin(), kAliases.end(), alias) == kAliases.end()) {
    return fail(ErrorCode::kInvalidArgument, "expected the alias candidate, canary or production, got '{}'",
                alias);
  }
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  const ModelVersion found = TRY(find_version(registry, version));
  if (TRY(alias_target(registry, alias)) == found.version) return transaction.commit();
  TRY(move_alias(registry, alias, found.version, "set", actor, reason));
  return transaction.commit();
}

Result<ModelVersion> promote(Registry& registry, const std::string& version, const PromoteOptions& options) {
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  const ModelVersion found = TRY(find_version(registry, version));
  const auto before = TRY(alias_target(registry, "production"));
  if (before == found.version) {
    TRY(transaction.commit());
    return found;
  }
  const bool passed = TRY(json_bool_or(found.gate, "passed", false));
  if (!passed && !options.force) {
    return fail(ErrorCode::kRefused, "{} is not promoted: {}", found.version, gate_reasons(found.gate));
  }
  TRY(move_alias(registry, "production", found.version, "promote", options.actor, options.reason));
  // The candidate has become production; a refused one stays candidate.
  TRY(registry.database().execute(
      "DELETE FROM aliases WHERE alias IN ('candidate', 'canary') AND version = ?",
      {number_of(found.version)}));
  TRY(append_audit(registry, options.actor, "promote", found.version,
                   JsonObject{{"before", before ? Json(*before) : Json()},
                              {"reason", options.reason},
                              {"gate_passed", passed},
                              {"forced", !passed}}));
  TRY(transaction.commit());
  return find_version(registry, found.version);
}

Result<ModelVersion> rollback(Registry& registry, const std::string& actor) {
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  const std::vector<int64_t> stack = TRY(production_stack(registry));
  if (stack.size() < 2) {
    return fail(
        ErrorCode::kNotFound, "there is no version to go back to: production {}",
        stack.empty() ? std::string("is empty") : fmt::format("is v{} and was the first", stack.back()));
  }
  const std::string from = fmt::format("v{}", stack.back());
  const std::string to = fmt::format("v{}", stack[stack.size() - 2]);
  TRY(move_alias(registry, "production", to, "rollback", actor, "rollback from " + from));
  TRY(append_audit(registry, actor, "rollback", to, JsonObject{{"before", from}}));
  TRY(transaction.commit());
  return find_version(registry, to);
}

}  // namespace volant
