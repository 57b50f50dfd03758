// The audit log: who did what to which version, one row an event, never changed. Each row holds the SHA-256
// of itself and of the row before, so a row that was changed, removed or put in between is found.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct AuditEntry {
  int64_t id = 0;
  std::string created_at, actor, action, subject;  // "cli", "promote", "v3"
  Json detail;
  std::string previous_hash, hash;
};
Json to_json(const AuditEntry& entry);

Status append_audit(Registry& registry, const std::string& actor, const std::string& action,
                    const std::string& subject, const Json& detail);
// Newest first.
Result<std::vector<AuditEntry>> list_audit(Registry& registry, int64_t limit = 100);
// Checks the whole chain; kParse names the first row that does not fit. Gives the number of rows.
Result<int64_t> verify_audit(Registry& registry);

}  // namespace volant
