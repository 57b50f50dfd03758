#include "feedback/curation.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "base/digest.h"
#include "data/personal_data.h"
#include "feedback/rows.h"
#include "feedback/screening.h"

namespace volant {
namespace {

constexpr int64_t kMaxCorrections = 5000;

// The conversation as it is learned from: roles and tidied, masked contents, nothing else. What a prediction
// was asked for ("input") stays as it is: a picture or a row, whose every character counts.
JsonArray clean_messages(const JsonArray& messages) {
  JsonArray clean;
  for (const Json& message : messages) {
    const std::string role = json_string_or(message, "role", "user").value_or("user");
    const std::string content = json_string_or(message, "content", "").value_or("");
    clean.push_back(JsonObject{{"role", role},
                               {"content", role == "input" ? content : mask_personal_data(tidy(content))}});
  }
  return clean;
}

// Where a digest falls between 0 and 1.
double position_of(const std::string& digest) {
  return static_cast<double>(std::stoull(digest.substr(0, 12), nullptr, 16)) /
         static_cast<double>(1ULL << 48);
}

// Blanks between prompt and answer were trimmed; words need one.
bool joins_words(const std::string& a, const std::string& b) {
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !a.empty() && !b.empty() && (is_word(a.back()) || a.back() == ',') && is_word(b.front());
}

}  // namespace

Json to_training_row(const CuratedRow& row) {
  const Json& first = row.messages.front();
  if (json_string_or(first, "role", "").value_or("") == "prompt") {
    const std::string prompt = json_string_or(first, "content", "").value_or("");
    const std::string answer = json_string_or(row.messages.back(), "content", "").value_or("");
    const std::string text = prompt + (joins_words(prompt, answer) ? " " : "") + answer;
    return JsonObject{{"text", text}, {"weight", row.weight}};
  }
  return JsonObject{{"messages", row.messages}, {"weight", row.weight}};
}

Result<CuratedSet> curate(const std::vector<Feedback>& corrections, double held_out_share) {
  if (!(held_out_share >= 0 && held_out_share < 1)) {
    return fail(ErrorCode::kInvalidArgument, "expected a held-out share from 0 to below 1, got {}",
                held_out_share);
  }
  CuratedSet set;
  std::map<std::string, CuratedRow> by_prompt;
  for (const Feedback& feedback : corrections) {
    const std::string correction = mask_personal_data(tidy(feedback.correction));
    if (correction.empty() || feedback.messages.empty() || feedback.state == "rejected") continue;
    ++set.corrections;
    set.feedback_ids.push_back(feedback.id);
    if (correction == tidy(feedback.answer)) {
      ++set.unchanged;
      continue;
    }
    JsonArray messages = clean_messages(feedback.messages);
    const std::string digest = sha256_hex(dump_json(messages));
    messages.push_back(JsonObject{{"role", "assistant"}, {"content", correction}});
    auto [at, is_new] = by_prompt.try_emplace(digest);
    CuratedRow& row = at->second;
    row.weight = is_new ? 1 : row.weight + 1;
    if (!is_new) ++set.duplicates;
    row.messages = std::move(messages);  // oldest first, so the latest stays
    row.rejected = feedback.answer;
    row.feedback_ids.push_back(feedback.id);
    row.digest = digest;
  }
  // By digest, so the same prompt always falls on the same side; never more than the share, so that few
  // corrections are all learned.
  const auto most =
      static_cast<size_t>(std::floor(held_out_share * static_cast<double>(by_prompt.size()) + 1e-9));
  for (auto& [digest, row] : by_prompt) {
    const bool hold = set.held_out.size() < most && position_of(digest) < held_out_share;
    (hold ? set.held_out : set.train).push_back(std::move(row));
  }
  return set;
}

Result<std::vector<Feedback>> pending_corrections(Registry& registry, bool include_used) {
  const char* states = include_used ? "('new', 'used')" : "('new')";
  auto rows = TRY(feedback_rows(
      registry, fmt::format("WHERE f.correction <> '' AND f.state IN {} ORDER BY f.id DESC LIMIT ?", states),
      {kMaxCorrections}));
  std::reverse(rows.begin(), rows.end());
  return rows;
}

Status mark_used(Registry& registry, const std::vector<int64_t>& feedback_ids) {
  Transaction transaction = TRY(Transaction::begin(registry.database()));
  for (const int64_t id : feedback_ids) {
    TRY(registry.database().execute("UPDATE feedback SET state = 'used' WHERE id = ? AND state = 'new'",
                                    {id}));
  }
  return transaction.commit();
}

}  // namespace volant
