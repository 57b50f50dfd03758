// Answers: what a served version said, so that feedback can name it and lineage can start from it.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "registry/registry.h"

namespace volant {

struct RecordedAnswer {
  std::string id;          // "chatcmpl-...", "cmpl-..."
  std::string version;     // "v3"
  std::string created_at;  // filled in when empty
  JsonArray messages;      // the conversation before the answer; a plain completion: one
                           // {"role":"prompt","content":...}
  std::string answer;
  JsonObject settings;  // temperature, max_tokens, ...
};
Json to_json(const RecordedAnswer& answer);

// Cheap (no sync to disk); a second answer of the same id is kAlreadyExists.
Status record_answer(Registry& registry, const RecordedAnswer& answer);
Result<RecordedAnswer> find_answer(Registry& registry, const std::string& id);
// Newest first.
Result<std::vector<RecordedAnswer>> list_answers(Registry& registry, int64_t limit = 100);
Result<int64_t> count_answers(Registry& registry);

}  // namespace volant
