#include "server/openai_request.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/nearest.h"

namespace volant {
namespace {

// Fields that are known and have no effect here: they change bookkeeping, not the answer.
constexpr std::string_view kWithoutEffect[] = {"user",
                                               "metadata",
                                               "store",
                                               "service_tier",
                                               "verbosity",
                                               "safety_identifier",
                                               "prompt_cache_key",
                                               "prediction",
                                               "parallel_tool_calls",
                                               "reasoning_effort"};
constexpr std::string_view kShared[] = {"model",
                                        "n",
                                        "max_tokens",
                                        "temperature",
                                        "top_p",
                                        "top_k",
                                        "min_p",
                                        "typical_p",
                                        "seed",
                                        "stop",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "repetition_penalty",
                                        "logit_bias",
                                        "logprobs",
                                        "stream",
                                        "stream_options",
                                        "ignore_eos"};
constexpr std::string_view kChatOnly[] = {"messages",
                                          "max_completion_tokens",
                                          "top_logprobs",
                                          "response_format",
                                          "tools",
                                          "tool_choice",
                                          "functions",
                                          "function_call",
                                          "modalities",
                                          "audio",
                                          "web_search_options"};
constexpr std::string_view kPlainOnly[] = {"prompt", "echo", "suffix", "best_of"};

Error bad(std::string_view param, const std::string& message) {
  return Error{ErrorCode::kInvalidArgument, message, std::string(param)};
}
Error unsupported(std::string_view param, std::string_view what) {
  return fail(ErrorCode::kUnsupported, "'{}' asks for {}, which this server does not do; leave it out", param,
              what)
      .at(param);
}

// A reader of base/json.h with the field named as the API names it.
template <class T>
Result<T> field(Result<T> value, std::string_view param) {
  if (value) return value;
  return bad(param, value.error().message);
}

Result<double> number_in(const Json& body, std::string_view key, double other, double low, double high) {
  const double value = TRY(field(json_number_or(body, key, other), key));
  if (!(value >= low && value <= high)) {
    return bad(key, fmt::format("expected '{}' from {} to {}, got {}", key, low, high, value));
  }
  return value;
}

Result<int> int_in(const Json& body, std::string_view key, int other, int low, int high) {
  const int64_t value = TRY(field(json_int_or(body, key, other), key));
  if (value < low || value > high) {
    return bad(key, fmt::format("expected '{}' from {} to {}, got {}", key, low, high, value));
  }
  return static_cast<int>(value);
}

Status check_fields(const JsonObject& body, bool chat) {
  std::vector<std::string> known;
  const auto add = [&](const auto& names) { known.insert(known.end(), std::begin(names), std::end(names)); };
  add(kShared);
  add(kWithoutEffect);
  if (chat) {
    add(kChatOnly);
  } else {
    add(kPlainOnly);
  }
  for (const auto& entry : body) {
    const std::string key(entry.key());
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return bad(key, fmt::format("unknown field '{}'{}", key.substr(0, 64), did_you_mean(key, known)));
    }
  }
  return {};
}

Status parse_stop(const Json& body, const RequestLimits& limits, CompletionRequest& out) {
  const Json* stop = json_find(body, "stop");
  if (stop == nullptr) return {};
  const auto add = [&](const Json& text) -> Status {
    if (!text.is_string() || text.get_string().empty()) {
      return bad("stop", "expected 'stop' to be a text or a list of up to 4 texts that are not empty");
    }
    if (text.get_string().size() > limits.max_stop_bytes) {
      return bad("stop", fmt::format("a text in 'stop' is longer than {} bytes", limits.max_stop_bytes));
    }
    out.stop.emplace_back(text.get_string());
    return {};
  };
  if (!stop->is_array()) return add(*stop);
  if (stop->get_array().size() > 4) {
    return bad("stop", fmt::format("expected at most 4 texts in 'stop', got {}", stop->get_array().size()));
  }
  for (const Json& text : stop->get_array()) TRY(add(text));
  return {};
}

Status parse_logit_bias(const Json& body, CompletionRequest& out) {
  const Json* bias = json_find(body, "logit_bias");
  if (bias == nullptr) return {};
  if (!bias->is_object())
    return bad("logit_bias", "expected 'logit_bias' to be an object of token id to bias");
  if (bias->get_object().size() > 1024)
    return bad("logit_bias", "expected at most 1024 entries in 'logit_bias'");
  for (const auto& entry : bias->get_object()) {
    const std::string_view key = entry.key();
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      return bad("logit_bias",
                 fmt::format("expected token ids as keys of 'logit_bias', got '{}'", key.substr(0, 32)));
    }
    if (!entry.value().is_number() || std::abs(entry.value().to_number<double>()) > 100) {
      return bad("logit_bias", fmt::format("expected a bias from -100 to 100 for token {}", id));
    }
    out.sampling.logit_bias[id] = entry.value().to_number<double>();
  }
  return {};
}

Status parse_sampling(const Json& body, CompletionRequest& out) {
  SamplingOptions& sampling = out.sampling;
  sampling.temperature = TRY(number_in(body, "temperature", 1, 0, 2));
  sampling.top_p = TRY(number_in(body, "top_p", 1, 0, 1));
  sampling.min_p = TRY(number_in(body, "min_p", 0, 0, 1));
  sampling.typical_p = TRY(number_in(body, "typical_p", 1, 0, 1));
  sampling.top_k = TRY(int_in(body, "top_k", 0, -1, 1 << 20));
  if (sampling.top_k < 0) sampling.top_k = 0;  // -1 is "off" elsewhere
  sampling.presence_penalty = TRY(number_in(body, "presence_penalty", 0, -2, 2));
  sampling.frequency_penalty = TRY(number_in(body, "frequency_penalty", 0, -2, 2));
  sampling.repetition_penalty = TRY(number_in(body, "repetition_penalty", 1, 0.01, 10));
  if (const Json* seed = json_find(body, "seed")) {
    if (seed->is_uint64()) {
      sampling.seed = seed->get_uint64();
    } else {
      sampling.seed = static_cast<uint64_t>(TRY(field(json_int(body, "seed"), "seed")));
    }
  }
  return parse_logit_bias(body, out);
}

// What both endpoints read in the same way.
Result<CompletionRequest> parse_shared(const Json& body, bool chat, const RequestLimits& limits) {
  if (!body.is_object()) return bad("", "expected the body to be a JSON object");
  TRY(check_fields(body.get_object(), chat));
  CompletionRequest out;
  out.model = TRY(field(json_string_or(body, "model", ""), "model"));
  if (out.model.empty())
    return bad("model", "expected 'model', the name of a model; GET /v1/models lists them");
  out.n = TRY(int_in(body, "n", 1, 1, limits.max_choices));
  if (json_find(body, "max_tokens") != nullptr) {
    out.max_tokens = TRY(int_in(body, "max_tokens", 16, chat ? 1 : 0, 1 << 30));
  }
  TRY(parse_sampling(body, out));
  TRY(parse_stop(body, limits, out));
  out.stream = TRY(field(json_bool_or(body, "stream", false), "stream"));
  out.ignore_stop_ids = TRY(field(json_bool_or(body, "ignore_eos", false), "ignore_eos"));
  if (const Json* options = json_find(body, "stream_options")) {
    if (!out.stream) return bad("stream_options", "'stream_options' is for 'stream': true only");
    out.include_usage =
        TRY(field(json_bool_or(*options, "include_usage", false), "stream_options.include_usage"));
  }
  return out;
}

// The text of a message: a string, or parts of type "text".
Result<std::string> parse_content(const Json* content, const std::string& param) {
  if (content == nullptr) return bad(param, "expected 'content' of the message");
  if (content->is_string()) return std::string(content->get_string());
  if (!content->is_array()) return bad(param, "expected 'content' to be a text or a list of parts");
  std::string text;
  for (const Json& part : content->get_array()) {
    const std::string type = TRY(field(json_string(part, "type"), param));
    if (type != "text") return unsupported(param, "content of type '" + type.substr(0, 32) + "'");
    text += TRY(field(json_string(part, "text"), param));
  }
  return text;
}

Result<JsonObject> parse_message(const Json& message, const std::string& param) {
  if (!message.is_object()) return bad(param, "expected a message to be an object with 'role' and 'content'");
  std::string role = TRY(field(json_string(message, "role"), param + ".role"));
  if (role == "developer") role = "system";
  if (role == "tool" || role == "function" || json_find(message, "tool_calls") != nullptr) {
    return unsupported(param + ".role", "tool calls");
  }
  if (role != "system" && role != "user" && role != "assistant") {
    return bad(param + ".role", fmt::format("expected 'system', 'developer', 'user' or 'assistant', got '{}'",
                                            role.substr(0, 32)));
  }
  JsonObject out;
  out["role"] = role;
  out["content"] = TRY(parse_content(json_find(message, "content"), param + ".content"));
  return out;
}

Status parse_messages(const Json& body, const RequestLimits& limits, CompletionRequest& out) {
  const Json* messages = json_find(body, "messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().empty()) {
    return bad("messages", "expected 'messages', a list with at least one message");
  }
  const JsonArray& list = messages->get_array();
  if (list.size() > static_cast<size_t>(limits.max_messages)) {
    return bad("messages",
               fmt::format("expected at most {} messages, got {}", limits.max_messages, list.size()));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    out.messages.emplace_back(TRY(parse_message(list[i], fmt::format("messages[{}]", i))));
  }
  return {};
}

// Fields of the chat API that may only say "no".
Status refuse_chat_features(const Json& body) {
  for (const char* key : {"tools", "functions"}) {
    const Json* list = json_find(body, key);
    if (list != nullptr && !(list->is_array() && list->get_array().empty()))
      return unsupported(key, "tool calls");
  }
  for (const char* key : {"tool_choice", "function_call"}) {
    const Json* choice = json_find(body, key);
    if (choice != nullptr && *choice != "none" && *choice != "auto") return unsupported(key, "tool calls");
  }
  if (const Json* format = json_find(body, "response_format")) {
    const Json* type = json_find(*format, "type");
    if (type == nullptr || *type != "text") return unsupported("response_format", "a format other than text");
  }
  for (const char* key : {"audio", "web_search_options"}) {
    if (json_find(body, key) != nullptr) return unsupported(key, key);
  }
  if (const Json* modalities = json_find(body, "modalities");
      modalities != nullptr && *modalities != Json{"text"}) {
    return unsupported("modalities", "something other than text");
  }
  return {};
}

Result<std::vector<int32_t>> parse_ids(const JsonArray& list) {
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const Json& id : list) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > INT32_MAX) {
      return bad(
          "prompt",
          "expected 'prompt' to be a text, a list of texts, a list of token ids, or a list of such lists");
    }
    ids.push_back(static_cast<int32_t>(id.get_int64()));
  }
  return ids;
}

Status parse_prompts(const Json& body, const RequestLimits& limits, CompletionRequest& out) {
  const Json* prompt = json_find(body, "prompt");
  if (prompt == nullptr) return bad("prompt", "expected 'prompt'");
  if (prompt->is_string()) {
    out.prompts.emplace_back(std::string(prompt->get_string()));
  } else if (!prompt->is_array() || prompt->get_array().empty()) {
    return bad("prompt", "expected 'prompt' to be a text or a list that is not empty");
  } else if (prompt->get_array()[0].is_number()) {
    out.prompts.emplace_back(TRY(parse_ids(prompt->get_array())));
  } else {
    for (const Json& item : prompt->get_array()) {
      if (item.is_string()) {
        out.prompts.emplace_back(std::string(item.get_string()));
      } else if (item.is_array()) {
        out.prompts.emplace_back(TRY(parse_ids(item.get_array())));
      } else {
        return bad("prompt", "expected each item of 'prompt' to be a text or a list of token ids");
      }
    }
  }
  const size_t choices = out.prompts.size() * static_cast<size_t>(out.n);
  if (choices > static_cast<size_t>(limits.max_choices)) {
    return bad("prompt", fmt::format("expected at most {} answers a request (prompts times n), got {}",
                                     limits.max_choices, choices));
  }
  return {};
}

}  // namespace

Result<CompletionRequest> parse_chat_request(const Json& body, const RequestLimits& limits) {
  CompletionRequest out = TRY(parse_shared(body, true, limits));
  TRY(parse_messages(body, limits, out));
  TRY(refuse_chat_features(body));
  if (json_find(body, "max_completion_tokens") != nullptr) {
    out.max_tokens = TRY(int_in(body, "max_completion_tokens", 16, 1, 1 << 30));
  }
  const bool logprobs = TRY(field(json_bool_or(body, "logprobs", false), "logprobs"));
  const int top = TRY(int_in(body, "top_logprobs", 0, 0, 20));
  if (top > 0 && !logprobs) return bad("top_logprobs", "'top_logprobs' needs 'logprobs': true");
  if (logprobs) out.logprobs = top;
  return out;
}

Result<CompletionRequest> parse_completion_request(const Json& body, const RequestLimits& limits) {
  CompletionRequest out = TRY(parse_shared(body, false, limits));
  TRY(parse_prompts(body, limits, out));
  out.echo = TRY(field(json_bool_or(body, "echo", false), "echo"));
  if (const Json* logprobs = json_find(body, "logprobs"); logprobs != nullptr) {
    out.logprobs = TRY(int_in(body, "logprobs", 0, 0, 5));
    if (out.echo) return unsupported("logprobs", "log probabilities of the prompt that 'echo' gives back");
  }
  if (!TRY(field(json_string_or(body, "suffix", ""), "suffix")).empty()) {
    return unsupported("suffix", "text after the answer");
  }
  if (TRY(int_in(body, "best_of", out.n, 1, 20)) != out.n) {
    return unsupported("best_of", "more answers than 'n' to choose from");
  }
  if (!out.max_tokens) out.max_tokens = 16;  // the API's default
  if (out.max_tokens == 0 && !out.echo)
    return bad("max_tokens", "expected 'max_tokens' of at least 1, or 'echo': true");
  return out;
}

}  // namespace volant
