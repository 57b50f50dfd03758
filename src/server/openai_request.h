// Requests of the OpenAI API, read strictly: a field of the wrong type or out of range, or one that asks for
// something that is not done here, is an error whose `where` is the field's name ("messages[2].content").
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "runtime/engine.h"

namespace volant {

struct RequestLimits {
  int max_choices = 16;  // "n", and prompts times n
  int max_messages = 2000;
  size_t max_stop_bytes = 256;
};

// What both kinds of completion share.
struct CompletionRequest {
  std::string model;
  JsonArray messages;  // chat: {"role","content"} with text content; empty for a plain completion
  std::vector<std::variant<std::string, std::vector<int32_t>>> prompts;  // plain: text or ids; empty for chat
  int n = 1;
  std::optional<int> max_tokens;
  SamplingOptions sampling;
  std::vector<std::string> stop;
  int logprobs = -1;  // as in GenerateRequest
  bool stream = false, include_usage = false, echo = false, ignore_stop_ids = false;
};

// POST /v1/chat/completions.
Result<CompletionRequest> parse_chat_request(const Json& body, const RequestLimits& limits = {});
// POST /v1/completions.
Result<CompletionRequest> parse_completion_request(const Json& body, const RequestLimits& limits = {});

}  // namespace volant
