#include "wheel/improve_rows.h"

#include <algorithm>
#include <cmath>

#include "base/digest.h"
#include "io/jsonl.h"

namespace volant {
namespace {

constexpr int64_t kWantedRepeats = 24;  // how often a correction is read before it sticks
constexpr int64_t kMaxStepsFactor =
    10;                             // more corrections take more steps, up to this multiple of the config's
constexpr int64_t kMaxWeight = 3;   // copies of a correction that many users gave
constexpr int64_t kTurnTokens = 4;  // control symbols of a turn

int64_t tokens_of(const CuratedRow& row, const Tokenizer& tokenizer) {
  int64_t tokens = 1;
  for (const Json& message : row.messages) {
    const std::string content = json_string_or(message, "content", "").value_or("");
    tokens += static_cast<int64_t>(
        tokenizer.encode(content, {.add_special = false, .parse_special = false}).size());
    tokens += kTurnTokens;
  }
  return tokens;
}

// Texts of the training split in a fixed shuffle, up to `tokens`.
Result<std::vector<Json>> replay_rows(const Path& train_rows, const Tokenizer& tokenizer, int64_t tokens,
                                      int64_t max_seq_len) {
  std::vector<std::pair<std::string, std::string>> texts;  // id, text
  JsonlReader reader = TRY(JsonlReader::open(train_rows));
  while (auto row = TRY(reader.next())) {
    std::string text = json_string_or(*row, "text", "").value_or("");
    if (!text.empty()) texts.emplace_back(sha256_hex("replay" + text), std::move(text));
  }
  std::sort(texts.begin(), texts.end());
  std::vector<Json> rows;
  for (auto& [id, text] : texts) {
    if (tokens <= 0) break;
    const auto n =
        static_cast<int64_t>(tokenizer.encode(text, {.add_special = false, .parse_special = false}).size());
    tokens -= std::min(n, max_seq_len);
    rows.push_back(JsonObject{{"text", std::move(text)}});
  }
  return rows;
}

}  // namespace

Result<ImproveRows> write_improve_rows(const CuratedSet& set, const Path& train_rows,
                                       const Tokenizer& tokenizer, const ImproveSection& config,
                                       int64_t max_seq_len, const Path& out) {
  int64_t once = 0;  // tokens of one copy of every correction
  for (const CuratedRow& row : set.train)
    once += tokens_of(row, tokenizer) * std::min(row.weight, kMaxWeight);
  const double share = 1 - config.replay_share;
  const double wanted = static_cast<double>(once * kWantedRepeats) / (share * kImproveTokensPerStep);
  ImproveRows result;
  result.steps =
      std::clamp(static_cast<int64_t>(std::ceil(wanted)), config.steps, config.steps * kMaxStepsFactor);
  const double tokens = static_cast<double>(result.steps * kImproveTokensPerStep);
  const auto copies =
      std::max<int64_t>(1, std::llround(tokens * share / static_cast<double>(std::max<int64_t>(once, 1))));
  const auto replay =
      TRY(replay_rows(train_rows, tokenizer, std::llround(tokens * config.replay_share), max_seq_len));

  JsonlWriter writer = TRY(JsonlWriter::create(out));
  for (const CuratedRow& row : set.train) {
    Json one = to_training_row(row);
    one.as_object().erase("weight");  // it became copies
    for (int64_t i = 0; i < copies * std::min(row.weight, kMaxWeight); ++i) {
      TRY(writer.write(one));
      ++result.correction_rows;
    }
  }
  for (const Json& row : replay) TRY(writer.write(row));
  TRY(writer.finish());
  result.replay_rows = static_cast<int64_t>(replay.size());
  return result;
}

}  // namespace volant
