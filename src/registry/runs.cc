#include "registry/runs.h"

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"

namespace volant {
namespace {

constexpr const char* kColumns = "id, kind, status, run_key, created_at, finished_at, seconds, summary";
constexpr uint64_t kMaxEventsBytes = 64ULL << 20;

Run run_of(const SqlRow& row) {
  Run run{row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), row.real(6), {}};
  auto summary = parse_json(row.text(7));
  run.summary = summary ? std::move(*summary) : Json(JsonObject());
  return run;
}

// "2026-11-22T09:15:02.123Z" as "20261122-091502".
std::string compact_time(const std::string& iso) {
  std::string digits;
  for (const char c : iso.substr(0, 19)) {
    if (c >= '0' && c <= '9') digits += c;
    if (c == 'T') digits += '-';
  }
  return digits;
}

}  // namespace

Json to_json(const Run& run) {
  return JsonObject{{"id", run.id},           {"kind", run.kind},
                    {"status", run.status},   {"created_at", run.created_at},
                    {"seconds", run.seconds}, {"summary", run.summary}};
}

Path run_dir(const Registry& registry, const std::string& id) { return registry.runs_dir() / id; }

Result<Run> start_run(Registry& registry, const std::string& kind, const std::string& key) {
  Database& database = registry.database();
  Transaction transaction = TRY(Transaction::begin(database));
  const auto unfinished = TRY(database.query_one(
      "SELECT id FROM runs WHERE kind = ? AND run_key = ? AND status <> 'finished'", {kind, key}));
  std::string id;
  if (unfinished) {
    id = unfinished->text(0);
    TRY(database.execute("UPDATE runs SET status = 'running', finished_at = '' WHERE id = ?", {id}));
  } else {
    const std::string now = now_iso8601();
    id = fmt::format("{}-{}-{}", kind, compact_time(now), secure_random_hex(2));
    TRY(database.execute(
        "INSERT INTO runs (id, kind, status, run_key, created_at) VALUES (?, ?, 'running', ?, ?)",
        {id, kind, key, now}));
  }
  TRY(make_dirs(run_dir(registry, id)));
  TRY(transaction.commit());
  return find_run(registry, id);
}

Status finish_run(Registry& registry, const std::string& id, const std::string& status, const Json& summary,
                  double seconds) {
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  const int64_t changed = TRY(registry.database().execute(
      "UPDATE runs SET status = ?, summary = ?, seconds = seconds + ?, finished_at = ? WHERE id = ?",
      {status, dump_json(summary), seconds, now_iso8601(), id}));
  if (changed == 0) return fail(ErrorCode::kNotFound, "no run '{}'", id);
  return transaction.commit();
}

Result<Run> find_run(Registry& registry, const std::string& id) {
  const auto row =
      TRY(registry.database().query_one(fmt::format("SELECT {} FROM runs WHERE id = ?", kColumns), {id}));
  if (!row) return fail(ErrorCode::kNotFound, "no run '{}'; 'volant runs' lists them", id);
  return run_of(*row);
}

Result<std::vector<Run>> list_runs(Registry& registry, int64_t limit) {
  const auto rows = TRY(registry.database().query(
      fmt::format("SELECT {} FROM runs ORDER BY created_at DESC, id DESC LIMIT ?", kColumns), {limit}));
  std::vector<Run> runs;
  for (const SqlRow& row : rows) runs.push_back(run_of(row));
  return runs;
}

Result<JsonArray> run_events(Registry& registry, const std::string& id, size_t limit) {
  TRY(find_run(registry, id));
  return read_events(run_dir(registry, id) / "events.jsonl", limit);
}

Result<JsonArray> read_events(const Path& file, size_t limit) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return JsonArray();
  const std::string text = TRY(read_file(file, kMaxEventsBytes));
  JsonArray events;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // the writer is in the middle of this line
    if (auto event = parse_json(std::string_view(text).substr(begin, end - begin)))
      events.push_back(std::move(*event));
    begin = end + 1;
  }
  if (events.size() > limit) {
    events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(events.size() - limit));
  }
  return events;
}

}  // namespace volant
