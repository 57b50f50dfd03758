#include "registry/answers.h"

#include "base/clock.h"

namespace volant {
namespace {

constexpr const char* kColumns = "id, version, created_at, messages, answer, settings";

RecordedAnswer answer_of(const SqlRow& row) {
  RecordedAnswer answer{row.text(0), row.text(1), row.text(2), {}, row.text(4), {}};
  if (auto messages = parse_json(row.text(3)); messages && messages->is_array()) {
    answer.messages = std::move(messages->as_array());
  }
  if (auto settings = parse_json(row.text(5)); settings && settings->is_object()) {
    answer.settings = std::move(settings->as_object());
  }
  return answer;
}

}  // namespace

Json to_json(const RecordedAnswer& answer) {
  return JsonObject{{"id", answer.id},
                    {"version", answer.version},
                    {"created_at", answer.created_at},
                    {"messages", answer.messages},
                    {"answer", answer.answer},
                    {"settings", answer.settings}};
}

Status record_answer(Registry& registry, const RecordedAnswer& answer) {
  Transaction transaction = TRY(Transaction::begin(registry.database(), Durability::kRelaxed));
  TRY(registry.database().execute(
      fmt::format("INSERT INTO answers ({}) VALUES (?, ?, ?, ?, ?, ?)", kColumns),
      {answer.id, answer.version, answer.created_at.empty() ? now_iso8601() : answer.created_at,
       dump_json(answer.messages), answer.answer, dump_json(answer.settings)}));
  return transaction.commit();
}

Result<RecordedAnswer> find_answer(Registry& registry, const std::string& id) {
  const auto row =
      TRY(registry.database().query_one(fmt::format("SELECT {} FROM answers WHERE id = ?", kColumns), {id}));
  if (!row) return fail(ErrorCode::kNotFound, "no answer '{}' was recorded in this workspace", id);
  return answer_of(*row);
}

Result<std::vector<RecordedAnswer>> list_answers(Registry& registry, int64_t limit) {
  const auto rows = TRY(registry.database().query(
      fmt::format("SELECT {} FROM answers ORDER BY created_at DESC, id DESC LIMIT ?", kColumns), {limit}));
  std::vector<RecordedAnswer> answers;
  for (const SqlRow& row : rows) answers.push_back(answer_of(row));
  return answers;
}

Result<int64_t> count_answers(Registry& registry) {
  return TRY(registry.database().query_one("SELECT count(*) FROM answers"))->integer(0);
}

}  // namespace volant
