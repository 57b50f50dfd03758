#include "feedback/rows.h"

namespace volant {

Result<std::vector<Feedback>> feedback_rows(Registry& registry, const std::string& rest,
                                            const std::vector<SqlValue>& values) {
  const auto rows = TRY(registry.database().query(
      "SELECT f.id, f.created_at, f.answer_id, f.rating, f.correction, f.comment, f.state, f.reason, "
      "a.version, a.answer, a.messages "
      "FROM feedback AS f JOIN answers AS a ON a.id = f.answer_id " +
          rest,
      values));
  std::vector<Feedback> list;
  for (const SqlRow& row : rows) {
    Feedback feedback;
    feedback.id = row.integer(0);
    feedback.created_at = row.text(1);
    feedback.answer_id = row.text(2);
    feedback.rating = row.text(3);
    feedback.correction = row.text(4);
    feedback.comment = row.text(5);
    feedback.state = row.text(6);
    feedback.reason = row.text(7);
    feedback.version = row.text(8);
    feedback.answer = row.text(9);
    if (auto messages = parse_json(row.text(10)); messages && messages->is_array()) {
      feedback.messages = std::move(messages->as_array());
    }
    list.push_back(std::move(feedback));
  }
  return list;
}

}  // namespace volant
