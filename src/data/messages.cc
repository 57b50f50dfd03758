#include "data/messages.h"

#include <array>
#include <utility>

namespace volant {
namespace {

constexpr size_t kMaxMessages = 4096;

struct Role {
  std::string_view name, canonical;
};
constexpr std::array<Role, 18> kRoles = {{{"system", "system"},
                                          {"developer", "system"},
                                          {"user", "user"},
                                          {"human", "user"},
                                          {"prompter", "user"},
                                          {"assistant", "assistant"},
                                          {"gpt", "assistant"},
                                          {"chatgpt", "assistant"},
                                          {"bing", "assistant"},
                                          {"bard", "assistant"},
                                          {"model", "assistant"},
                                          {"tool", "tool"},
                                          {"function", "tool"},
                                          {"ipython", "tool"},
                                          {"observation", "tool"},
                                          {"function_response", "tool"},
                                          {"function_call", "assistant"},
                                          {"tool_call", "assistant"}}};

Result<std::string_view> canonical_role(std::string_view name) {
  for (const Role& role : kRoles)
    if (role.name == name) return role.canonical;
  return fail(
      ErrorCode::kParse,
      "expected a role among system, user (human), assistant (gpt), tool (observation) and function_call, "
      "got '{}'",
      name.substr(0, 64));
}

Result<std::string> text_of_parts(const JsonArray& parts) {
  std::string out;
  for (const Json& part : parts) {
    const std::string type = TRY(json_string(part, "type"));
    if (type != "text")
      return fail(ErrorCode::kUnsupported, "'content': expected parts of type 'text', got '{}'",
                  type.substr(0, 64));
    out += TRY(json_string(part, "text"));
  }
  return out;
}

// {"type": "function", "function": {"name", "arguments": object}} from that, from the inner object, and with
// arguments that are JSON text, as OpenAI's are.
Result<JsonObject> canonical_call(const Json& call) {
  if (!call.is_object()) return fail(ErrorCode::kParse, "expected a tool call to be an object");
  const Json* function = json_find(call, "function");
  const Json& inner = function != nullptr ? *function : call;
  JsonObject out{{"name", TRY(json_string(inner, "name"))}, {"arguments", JsonObject()}};
  if (const Json* arguments = json_find(inner, "arguments"); arguments != nullptr) {
    if (arguments->is_string()) {
      auto parsed = parse_json(arguments->get_string());
      out["arguments"] = parsed ? std::move(*parsed) : *arguments;
    } else {
      out["arguments"] = *arguments;
    }
  }
  JsonObject whole{{"type", "function"}, {"function", std::move(out)}};
  if (const Json* id = json_find(call, "id"); id != nullptr) whole["id"] = *id;
  return whole;
}

Result<JsonArray> canonical_calls(const Json& calls) {
  JsonArray out;
  if (!calls.is_array()) {
    out.push_back(TRY(canonical_call(calls)));
    return out;
  }
  for (const Json& call : calls.get_array()) out.push_back(TRY(canonical_call(call)));
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

JsonObject message_of(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

Result<JsonObject> canonical_message(const Json& message) {
  if (!message.is_object()) return fail(ErrorCode::kParse, "expected a message to be an object");
  const bool turn = json_find(message, "role") == nullptr && json_find(message, "from") != nullptr;
  const char *role_key = turn ? "from" : "role", *content_key = turn ? "value" : "content";
  const std::string name = TRY(json_string(message, role_key));
  JsonObject out{{"role", TRY(canonical_role(name))}, {"content", ""}};

  const Json* content = json_find(message, content_key);
  const Json* calls = json_find(message, "tool_calls");
  const Json* one_call = json_find(message, "function_call");
  if (content != nullptr && content->is_array()) {
    out["content"] = TRY(text_of_parts(content->get_array()));
  } else if (content != nullptr || (calls == nullptr && one_call == nullptr)) {
    out["content"] = TRY(json_string(message, content_key));
  }
  if (name == "function_call" || name == "tool_call") {
    const std::string value(out["content"].get_string());
    auto call = parse_json(value);
    if (!call)
      return fail(ErrorCode::kParse, "'{}' of a {}: expected JSON {{\"name\", \"arguments\"}}: {}",
                  content_key, name, call.error().message);
    out["tool_calls"] = TRY(canonical_calls(*call));
    out["content"] = "";
  } else if (calls != nullptr || one_call != nullptr) {
    out["tool_calls"] = TRY(canonical_calls(calls != nullptr ? *calls : *one_call));
  }
  for (const auto& [key, value] : message.get_object())
    if (key != role_key && key != content_key && key != "function_call" && !out.contains(key))
      out[key] = value;
  return out;
}

Result<JsonArray> canonical_messages(const Json& list) {
  if (!list.is_array()) return fail(ErrorCode::kParse, "expected an array of messages");
  const JsonArray& all = list.get_array();
  if (all.empty() || all.size() > kMaxMessages)
    return fail(ErrorCode::kParse, "expected 1 to {} messages, got {}", kMaxMessages, all.size());
  JsonArray out;
  for (const Json& message : all) {
    auto canonical = canonical_message(message);
    if (!canonical) return std::move(canonical).error().at(fmt::format("message {}", out.size() + 1));
    out.push_back(std::move(*canonical));
  }
  return out;
}

Result<JsonArray> canonical_tools(const Json& tools) {
  if (tools.is_string()) {
    if (trimmed(tools.get_string()).empty()) return JsonArray();
    const auto parsed = parse_json(tools.get_string());
    if (!parsed) return fail(ErrorCode::kParse, "'tools': expected JSON: {}", parsed.error().message);
    if (parsed->is_string()) return fail(ErrorCode::kParse, "'tools': expected a list of functions");
    return canonical_tools(*parsed);
  }
  if (!tools.is_array()) return fail(ErrorCode::kParse, "'tools': expected a list of functions");
  JsonArray out;
  for (const Json& tool : tools.get_array()) {
    const Json* function = json_find(tool, "function");
    auto name = json_string(function != nullptr ? *function : tool, "name");
    if (!name) return std::move(name).error().at("tools");
    out.push_back(function != nullptr ? tool : Json(JsonObject{{"type", "function"}, {"function", tool}}));
  }
  return out;
}

std::optional<JsonArray> messages_of_dialogue(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kTurns = {
      {{"\n\nHuman:", "user"}, {"\n\nAssistant:", "assistant"}}};
  const std::string whole = "\n\n" + std::string(trimmed(text));
  if (!whole.starts_with(kTurns[0].first)) return std::nullopt;
  JsonArray messages;
  for (size_t at = 0; at < whole.size() && messages.size() < kMaxMessages;) {
    const auto& [mark, role] =
        whole.compare(at, kTurns[0].first.size(), kTurns[0].first) == 0 ? kTurns[0] : kTurns[1];
    const size_t begin = at + mark.size();
    at = std::min({whole.find(kTurns[0].first, begin), whole.find(kTurns[1].first, begin), whole.size()});
    messages.push_back(message_of(role, trimmed(std::string_view(whole).substr(begin, at - begin))));
  }
  return messages;
}

}  // namespace volant
