#include "registry/audit.h"

#include "base/clock.h"
#include "base/digest.h"

namespace volant {
namespace {

constexpr const char* kColumns = "id, created_at, actor, action, subject, detail, previous_hash, hash";

struct Row {
  int64_t id;
  std::string created_at, actor, action, subject, detail, previous_hash, hash;
};

Row row_of(const SqlRow& row) {
  return {row.integer(0), row.text(1), row.text(2), row.text(3),
          row.text(4),    row.text(5), row.text(6), row.text(7)};
}

// Each field with its length, so that no two rows are the same bytes.
std::string hash_of(const Row& row) {
  Sha256 sha;
  for (const std::string& field : {std::to_string(row.id), row.created_at, row.actor, row.action, row.subject,
                                   row.detail, row.previous_hash}) {
    sha.update(fmt::format("{}:", field.size()));
    sha.update(field);
  }
  return sha.finish_hex();
}

}  // namespace

Json to_json(const AuditEntry& entry) {
  return JsonObject{{"id", entry.id},         {"created_at", entry.created_at}, {"actor", entry.actor},
                    {"action", entry.action}, {"subject", entry.subject},       {"detail", entry.detail},
                    {"hash", entry.hash}};
}

Status append_audit(Registry& registry, const std::string& actor, const std::string& action,
                    const std::string& subject, const Json& detail) {
  Database& database = registry.database();
  Transaction transaction = TRY(Transaction::begin(database));
  const auto last = TRY(database.query_one("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1"));
  Row row{last ? last->integer(0) + 1 : 1,
          now_iso8601(),
          actor,
          action,
          subject,
          dump_json(detail),
          last ? last->text(1) : "",
          ""};
  row.hash = hash_of(row);
  TRY(database.execute(
      fmt::format("INSERT INTO audit ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kColumns),
      {row.id, row.created_at, row.actor, row.action, row.subject, row.detail, row.previous_hash, row.hash}));
  return transaction.commit();
}

Result<std::vector<AuditEntry>> list_audit(Registry& registry, int64_t limit) {
  const auto rows = TRY(registry.database().query(
      fmt::format("SELECT {} FROM audit ORDER BY id DESC LIMIT ?", kColumns), {limit}));
  std::vector<AuditEntry> entries;
  for (const SqlRow& sql_row : rows) {
    Row row = row_of(sql_row);
    auto detail = parse_json(row.detail);
    entries.push_back({row.id, row.created_at, row.actor, row.action, row.subject,
                       detail ? std::move(*detail) : Json(row.detail), row.previous_hash, row.hash});
  }
  return entries;
}

Result<int64_t> verify_audit(Registry& registry) {
  const auto rows = TRY(registry.database().query(fmt::format("SELECT {} FROM audit ORDER BY id", kColumns)));
  std::string previous;
  int64_t expected_id = 1;
  for (const SqlRow& sql_row : rows) {
    const Row row = row_of(sql_row);
    const char* problem = row.id != expected_id           ? "a row before it is missing or was put in"
                          : row.previous_hash != previous ? "it does not follow the row before it"
                          : row.hash != hash_of(row)      ? "its content was changed"
                                                          : nullptr;
    if (problem != nullptr) {
      return fail(ErrorCode::kParse, "the audit log was tampered with: {}", problem)
          .at(fmt::format("{}: audit row {}", registry.database().file().string(), row.id));
    }
    previous = row.hash;
    ++expected_id;
  }
  return expected_id - 1;
}

}  // namespace volant
