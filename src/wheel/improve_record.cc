#include "wheel/improve_record.h"

#include "base/clock.h"

namespace volant {

Result<std::optional<ImprovementRecord>> latest_improvement(Registry& registry) {
  const auto row = TRY(registry.database().query_one(
      "SELECT created_at, state, run_id, report FROM improvements ORDER BY id DESC LIMIT 1"));
  if (!row) return std::optional<ImprovementRecord>();
  auto report = parse_json(row->text(3));
  return std::optional<ImprovementRecord>(ImprovementRecord{
      row->text(0), row->text(1), row->text(2), report ? std::move(*report) : Json(JsonObject())});
}

Status record_improvement(Registry& registry, const std::string& run_id, const std::string& state,
                          const Json& report) {
  TRY(registry.database().execute(
      "INSERT INTO improvements (created_at, state, run_id, report) VALUES (?, ?, ?, ?) "
      "ON CONFLICT (run_id) DO NOTHING",
      {now_iso8601(), state, run_id, dump_json(report)}));
  return {};
}

}  // namespace volant
