#include "train/prompt_rows.h"

#include "io/jsonl.h"

namespace volant {
namespace {

constexpr uint64_t kMaxRows = 1 << 20;

Result<JsonArray> prompt_of(const Json& row) {
  const Json *prompt = json_find(row, "prompt"), *turns = json_find(row, "messages");
  JsonArray messages;
  if (prompt != nullptr && prompt->is_string()) {
    messages.push_back(message_of("user", prompt->as_string()));
  } else if (prompt != nullptr || turns != nullptr) {
    messages = TRY(canonical_messages(prompt != nullptr ? *prompt : *turns));
    if (!messages.empty() && TRY(json_string(messages.back(), "role")) == "assistant") messages.pop_back();
  }
  if (messages.empty())
    return fail(ErrorCode::kParse, "expected 'prompt' (a text or messages) or 'messages'");
  return messages;
}

}  // namespace

Result<std::vector<PromptRow>> read_prompt_rows(const Path& file) {
  JsonlReader reader = TRY(JsonlReader::open(file));
  std::vector<PromptRow> rows;
  while (true) {
    const std::optional<Json> row = TRY(reader.next());
    if (!row) break;
    std::string place = fmt::format("{}:{}", file.string(), reader.line());
    auto messages = prompt_of(*row);
    if (!messages) return std::move(messages).error().at(place);
    if (rows.size() == kMaxRows)
      return fail(ErrorCode::kLimit, "expected at most {} rows", kMaxRows).at(place);
    rows.push_back({std::move(*messages), row->as_object(), std::move(place)});
  }
  if (rows.empty()) return fail(ErrorCode::kInvalidArgument, "expected prompts, got none").at(file.string());
  return rows;
}

}  // namespace volant
