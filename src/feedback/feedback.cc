#include "feedback/feedback.h"

#include <algorithm>

#include "base/clock.h"
#include "base/nearest.h"
#include "data/personal_data.h"
#include "feedback/rows.h"
#include "feedback/screening.h"
#include "registry/answers.h"

namespace volant {

Json to_json(const Feedback& feedback) {
  return JsonObject{{"id", feedback.id},
                    {"created_at", feedback.created_at},
                    {"answer_id", feedback.answer_id},
                    {"version", feedback.version},
                    {"rating", feedback.rating},
                    {"correction", feedback.correction},
                    {"comment", feedback.comment},
                    {"state", feedback.state},
                    {"reason", feedback.reason},
                    {"messages", feedback.messages},
                    {"answer", feedback.answer}};
}

Result<NewFeedback> parse_feedback(const Json& body) {
  static const std::vector<std::string> known = {"answer_id", "rating", "correction", "comment"};
  if (!body.is_object()) return fail(ErrorCode::kInvalidArgument, "expected a JSON object");
  for (const auto& [key, value] : body.as_object()) {
    const std::string name(key);
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return fail(ErrorCode::kInvalidArgument, "unknown field '{}'{}", name.substr(0, 60),
                  did_you_mean(name, known));
    }
  }
  const auto field = [&body](const char* key) -> Result<std::string> {
    auto text = json_string_or(body, key, "");
    if (!text) return fail(ErrorCode::kInvalidArgument, "expected a string").at(key);
    return text;
  };
  return NewFeedback{TRY(field("answer_id")), TRY(field("rating")), TRY(field("correction")),
                     TRY(field("comment"))};
}

Result<Feedback> add_feedback(Registry& registry, const NewFeedback& feedback) {
  TRY(check_feedback(feedback));
  const RecordedAnswer answer = TRY(find_answer(registry, feedback.answer_id));
  const std::string correction = mask_personal_data(tidy(feedback.correction));
  TRY(check_prediction_correction(answer.settings, correction));
  const std::string comment = mask_personal_data(tidy(feedback.comment));
  const std::string reason = correction.empty() ? "" : reject_reason(correction, answer.answer);

  Database& database = registry.database();
  Transaction transaction = TRY(Transaction::begin(database));
  const auto find = [&] {
    return database.query_one(
        "SELECT id FROM feedback WHERE answer_id = ? AND rating = ? AND correction = ? AND comment = ?",
        {feedback.answer_id, feedback.rating, correction, comment});
  };
  if (!TRY(find())) {
    const int64_t given =
        TRY(database.query_one("SELECT count(*) FROM feedback WHERE answer_id = ?", {feedback.answer_id}))
            ->integer(0);
    if (given >= kMaxFeedbackPerAnswer) {
      return fail(ErrorCode::kLimit, "this answer has {} pieces of feedback already, no more are taken",
                  given);
    }
    TRY(database.execute(
        "INSERT INTO feedback (created_at, answer_id, rating, correction, comment, state, reason) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        {now_iso8601(), feedback.answer_id, feedback.rating, correction, comment,
         reason.empty() ? "new" : "rejected", reason}));
  }
  const int64_t id = TRY(find())->integer(0);
  TRY(transaction.commit());
  auto rows = TRY(feedback_rows(registry, "WHERE f.id = ?", {id}));
  return std::move(rows.front());
}

Result<std::vector<Feedback>> list_feedback(Registry& registry, int64_t limit) {
  return feedback_rows(registry, "ORDER BY f.id DESC LIMIT ?", {limit});
}

Result<FeedbackCounts> count_feedback(Registry& registry) {
  const auto row = TRY(registry.database().query_one(
      "SELECT count(*), coalesce(sum(CASE WHEN rating = 'up' THEN 1 ELSE 0 END), 0), "
      "coalesce(sum(CASE WHEN rating = 'down' THEN 1 ELSE 0 END), 0), "
      "coalesce(sum(CASE WHEN correction <> '' THEN 1 ELSE 0 END), 0), "
      "coalesce(sum(CASE WHEN correction <> '' AND state = 'new' THEN 1 ELSE 0 END), 0) FROM feedback"));
  return FeedbackCounts{row->integer(0), row->integer(1), row->integer(2), row->integer(3), row->integer(4)};
}

}  // namespace volant
