#include "data/row_layout.h"

#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "data/messages.h"

namespace volant {
namespace {

constexpr size_t kMaxInstances = 4096;

const std::vector<std::string>& format_names() {
  static const std::vector<std::string> names = {"auto",   "text",      "messages",          "sharegpt",
                                                 "alpaca", "instances", "prompt_completion", "preference",
                                                 "kto"};
  return names;
}

// Fields that the layouts read; what a canonical row has anew is among them.
const std::vector<std::string>& known_fields() {
  static const std::vector<std::string> names = {
      "text",   "messages", "conversations", "system",    "tools",  "instruction", "input",
      "output", "context",  "response",      "history",   "prompt", "question",    "completion",
      "answer", "chosen",   "rejected",      "instances", "label",  "kto_tag",     "weight"};
  return names;
}

// The first of the names that the row has.
const Json* first_of(const JsonObject& row, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const Json* found = json_find(row, name)) return found;
  return nullptr;
}

Result<std::string> text_or_empty(const JsonObject& row, const char* name) {
  const Json* found = json_find(row, name);
  if (found == nullptr) return std::string();
  if (!found->is_string()) return fail(ErrorCode::kParse, "'{}': expected a text", name);
  return std::string(found->get_string());
}

// A text, or a list of texts as its lines.
Result<std::string> text_field(const JsonObject& row, const char* name) {
  const Json* found = json_find(row, name);
  if (found == nullptr) return fail(ErrorCode::kParse, "expected the field '{}'", name);
  if (found->is_string()) return std::string(found->get_string());
  std::string out;
  bool texts = found->is_array();
  if (texts)
    for (const Json& line : found->get_array()) {
      texts = texts && line.is_string();
      if (texts) out += (out.empty() ? "" : "\n") + std::string(line.get_string());
    }
  if (!texts) return fail(ErrorCode::kParse, "'{}': expected a text or a list of texts", name);
  return out;
}

// A turn that is a text, a message, a list of messages, or a whole dialogue in one text.
Result<JsonArray> turns_of(const Json& value, std::string_view role, const char* name) {
  const auto read = [&]() -> Result<JsonArray> {
    if (value.is_string()) {
      if (auto dialogue = messages_of_dialogue(value.get_string())) {
        // A prompt may end with the name of who speaks next.
        if (role == "user" && dialogue->back().at("role") == "assistant" &&
            dialogue->back().at("content") == "")
          dialogue->pop_back();
        return std::move(*dialogue);
      }
      return JsonArray{message_of(role, value.get_string())};
    }
    if (value.is_object()) return JsonArray{TRY(canonical_message(value))};
    if (value.is_array()) return canonical_messages(value);
    return fail(ErrorCode::kParse, "expected a text or messages");
  };
  auto turns = read();
  if (!turns) return std::move(turns).error().at(fmt::format("'{}'", name));
  return turns;
}

// system, history, instruction and input: all that an Alpaca row has before its answer.
Result<JsonArray> alpaca_prompt(const JsonObject& row, const Json* input) {
  JsonArray out;
  if (const Json* history = json_find(row, "history")) {
    if (!history->is_array()) return fail(ErrorCode::kParse, "'history': expected [[question, answer], ...]");
    for (const Json& pair : history->get_array()) {
      if (!pair.is_array() || pair.get_array().size() != 2 || !pair.get_array()[0].is_string() ||
          !pair.get_array()[1].is_string())
        return fail(ErrorCode::kParse, "'history': expected [[question, answer], ...]");
      out.push_back(message_of("user", pair.get_array()[0].get_string()));
      out.push_back(message_of("assistant", pair.get_array()[1].get_string()));
    }
  }
  std::string question = TRY(text_field(row, "instruction"));
  if (input != nullptr) {
    if (!input->is_string()) return fail(ErrorCode::kParse, "'input': expected a text");
    if (!input->get_string().empty()) question += "\n" + std::string(input->get_string());
  }
  out.push_back(message_of("user", question));
  return out;
}

bool has_prompt(const JsonObject& row) {
  return first_of(row, {"messages", "conversations", "instruction", "prompt", "question"}) != nullptr;
}

// What comes before the answers, whichever layout the row has; "messages" may hold the answer too.
Result<JsonArray> prompt_of(const JsonObject& row) {
  JsonArray prompt;
  const char* list = json_find(row, "messages") != nullptr ? "messages" : "conversations";
  if (const Json* messages = json_find(row, list)) {
    auto canonical = canonical_messages(*messages);
    if (!canonical) return std::move(canonical).error().at(fmt::format("'{}'", list));
    prompt = std::move(*canonical);
  } else if (json_find(row, "instruction") != nullptr) {
    prompt = TRY(alpaca_prompt(row, first_of(row, {"input", "context"})));
  } else if (const Json* text = first_of(row, {"prompt", "question"})) {
    prompt = TRY(turns_of(*text, "user", "prompt"));
  }
  const std::string system = TRY(text_or_empty(row, "system"));
  if (!system.empty()) prompt.insert(prompt.begin(), message_of("system", system));
  return prompt;
}

Result<JsonArray> answer_of(const JsonObject& row) {
  const Json* answer = first_of(row, {"completion", "output", "response", "answer"});
  if (answer == nullptr)
    return fail(ErrorCode::kParse, "expected the field 'output', 'completion', 'response' or 'answer'");
  return turns_of(*answer, "assistant", "completion");
}

bool ends_with_an_answer(const JsonArray& messages) {
  return !messages.empty() && json_string(messages.back(), "role").value_or("") == "assistant";
}

// What the row has besides what was read from it.
Result<JsonObject> rest_of(const JsonObject& row) {
  JsonObject out;
  if (const Json* tools = json_find(row, "tools")) {
    JsonArray list = TRY(canonical_tools(*tools));
    if (!list.empty()) out["tools"] = std::move(list);
  }
  for (const auto& [key, value] : row)
    if (key == "weight" ||
        std::find(known_fields().begin(), known_fields().end(), std::string(key)) == known_fields().end())
      out[key] = value;
  return out;
}

Result<JsonObject> conversation_row(const JsonObject& row, JsonArray messages) {
  JsonObject out{{"messages", std::move(messages)}};
  for (const auto& [key, value] : TRY(rest_of(row))) out[key] = value;
  return out;
}

Result<JsonObject> prompt_completion_row(const JsonObject& row) {
  JsonArray messages = TRY(prompt_of(row));
  if (messages.empty()) return fail(ErrorCode::kParse, "expected the field 'prompt' or 'instruction'");
  for (Json& message : messages)  // the completion is what is learned
    if (message.get_object()["role"] == "assistant") message.get_object()["train"] = false;
  for (Json& message : TRY(answer_of(row))) messages.push_back(std::move(message));
  return conversation_row(row, std::move(messages));
}

Result<std::vector<JsonObject>> instance_rows(const JsonObject& row) {
  const Json* instances = json_find(row, "instances");
  if (instances == nullptr || !instances->is_array() || instances->get_array().size() > kMaxInstances)
    return fail(ErrorCode::kParse, "'instances': expected a list of at most {} objects", kMaxInstances);
  std::vector<JsonObject> out;
  for (const Json& instance : instances->get_array()) {
    if (!instance.is_object())
      return fail(ErrorCode::kParse, "'instances': expected objects with input, output");
    JsonArray messages = TRY(alpaca_prompt(row, json_find(instance, "input")));
    messages.push_back(message_of("assistant", TRY(json_string(instance, "output"))));
    out.push_back(TRY(conversation_row(row, std::move(messages))));
  }
  return out;
}

size_t common_prefix(const JsonArray& a, const JsonArray& b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

JsonArray from(const JsonArray& messages, size_t begin) {
  return JsonArray(messages.begin() + static_cast<std::ptrdiff_t>(begin), messages.end());
}

Result<JsonObject> preference_row(const JsonObject& row) {
  const auto side = [&](const char* name) -> Result<JsonArray> {
    const Json* found = json_find(row, name);
    if (found == nullptr) return fail(ErrorCode::kParse, "expected the field '{}'", name);
    JsonArray turns = TRY(turns_of(*found, "assistant", name));
    if (!ends_with_an_answer(turns))
      return fail(ErrorCode::kParse, "'{}': expected the assistant to have the last turn", name);
    return turns;
  };
  JsonArray prompt = TRY(prompt_of(row));
  JsonArray chosen = TRY(side("chosen")), rejected = TRY(side("rejected"));
  const size_t shared = std::min({common_prefix(chosen, rejected), chosen.size() - 1, rejected.size() - 1});
  // Whole dialogues: the prompt is what both begin with, and it may be named besides.
  if (prompt.empty() || (shared > 0 && common_prefix(prompt, chosen) == prompt.size())) {
    if (shared == 0)
      return fail(ErrorCode::kParse,
                  "expected 'prompt', or 'chosen' and 'rejected' that begin with the same turns");
    prompt = JsonArray(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(shared));
    chosen = from(chosen, shared);
    rejected = from(rejected, shared);
  } else if (chosen.front().at("role") == "user" || rejected.front().at("role") == "user") {
    return fail(ErrorCode::kParse,
                "'chosen', 'rejected': expected answers, or dialogues that begin with 'prompt'");
  }
  JsonObject out{
      {"prompt", std::move(prompt)}, {"chosen", std::move(chosen)}, {"rejected", std::move(rejected)}};
  for (const auto& [key, value] : TRY(rest_of(row))) out[key] = value;
  return out;
}

Result<bool> label_of(const JsonObject& row) {
  const Json* label = first_of(row, {"kto_tag", "label"});
  if (label != nullptr && label->is_bool()) return label->get_bool();
  if (label != nullptr && label->is_int64() && (label->get_int64() == 0 || label->get_int64() == 1))
    return label->get_int64() == 1;
  return fail(ErrorCode::kParse, "expected 'label' (or 'kto_tag'), true or false");
}

Result<JsonObject> kto_row(const JsonObject& row) {
  JsonArray prompt = TRY(prompt_of(row)), completion;
  const bool label = TRY(label_of(row));
  if (first_of(row, {"completion", "output", "response", "answer"}) != nullptr) {
    completion = TRY(answer_of(row));
  } else if (prompt.size() > 1 && ends_with_an_answer(prompt)) {
    completion.push_back(std::move(prompt.back()));
    prompt.pop_back();
  }
  if (prompt.empty() || !ends_with_an_answer(completion))
    return fail(ErrorCode::kParse,
                "expected 'messages' that end with the assistant's, or 'prompt' and 'completion'");
  JsonObject out{{"prompt", std::move(prompt)}, {"completion", std::move(completion)}, {"label", label}};
  for (const auto& [key, value] : TRY(rest_of(row))) out[key] = value;
  return out;
}

Result<JsonObject> renamed(const JsonObject& row, const std::map<std::string, std::string>& columns) {
  JsonObject out;
  for (const auto& [key, value] : row) {
    const bool taken = std::any_of(columns.begin(), columns.end(),
                                   [&](const auto& c) { return c.second == key || c.first == key; });
    if (!taken) out[key] = value;
  }
  for (const auto& [ours, theirs] : columns) {
    const Json* found = json_find(row, theirs);
    if (found == nullptr)
      return fail(ErrorCode::kParse, "expected the field '{}' ('columns' names it)", theirs);
    out[ours] = *found;
  }
  return out;
}

}  // namespace

Result<RowFormat> row_format_of(const std::string& name) {
  const auto& names = format_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    return fail(ErrorCode::kInvalidArgument, "unknown format '{}'{}", name.substr(0, 64),
                did_you_mean(name, names));
  return static_cast<RowFormat>(found - names.begin());
}

Result<RowLayout> row_layout_from_json(const Json& json) {
  RowLayout layout;
  layout.format = TRY(row_format_of(TRY(json_string_or(json, "format", "auto"))));
  const Json* columns = json_find(json, "columns");
  if (columns == nullptr) return layout;
  if (!columns->is_object()) return fail(ErrorCode::kParse, "'columns': expected an object {{ours: theirs}}");
  for (const auto& [key, value] : columns->get_object()) {
    const std::string ours(key);
    if (std::find(known_fields().begin(), known_fields().end(), ours) == known_fields().end())
      return fail(ErrorCode::kInvalidArgument, "unknown field '{}' in 'columns'{}", ours,
                  did_you_mean(ours, known_fields()));
    if (!value.is_string())
      return fail(ErrorCode::kParse, "'columns': expected the name of a field for '{}'", ours);
    layout.columns[ours] = std::string(value.get_string());
  }
  return layout;
}

Result<RowFormat> detect_row_format(const JsonObject& row) {
  const auto has = [&](const char* name) { return json_find(row, name) != nullptr; };
  if (has("chosen") && has("rejected")) return RowFormat::kPreference;
  const Json* label = json_find(row, "label");
  if (has_prompt(row) && (has("kto_tag") || (label != nullptr && label->is_bool()))) return RowFormat::kKto;
  if (has("messages")) return RowFormat::kMessages;
  if (has("conversations")) return RowFormat::kShareGpt;
  if (has("instruction")) return has("instances") ? RowFormat::kInstances : RowFormat::kAlpaca;
  if (first_of(row, {"prompt", "question"}) && first_of(row, {"completion", "response", "answer", "output"}))
    return RowFormat::kPromptCompletion;
  if (has("text")) return RowFormat::kText;
  std::string fields;
  for (const auto& field : row) {
    if (fields.size() > 200) break;
    fields += (fields.empty() ? "" : ", ") + std::string(field.key());
  }
  return fail(
      ErrorCode::kParse,
      "expected 'messages', 'conversations', 'instruction', 'prompt' with 'completion' or 'chosen' and "
      "'rejected', or 'text', got the fields: {}; name them in 'columns'",
      fields.empty() ? "none" : fields);
}

Result<std::vector<JsonObject>> canonical_rows(const Json& json, const RowLayout& layout) {
  if (!json.is_object()) return fail(ErrorCode::kParse, "expected a row to be an object");
  JsonObject mapped;
  if (!layout.columns.empty()) mapped = TRY(renamed(json.get_object(), layout.columns));
  const JsonObject& row = layout.columns.empty() ? json.get_object() : mapped;
  const RowFormat format = layout.format == RowFormat::kAuto ? TRY(detect_row_format(row)) : layout.format;
  const auto one = [](JsonObject only) { return std::vector<JsonObject>{std::move(only)}; };
  switch (format) {
    case RowFormat::kAuto:
    case RowFormat::kText: {
      JsonObject out = row;
      out["text"] = TRY(text_field(row, "text"));
      return one(std::move(out));
    }
    case RowFormat::kMessages:
    case RowFormat::kShareGpt: {
      const char* field = format == RowFormat::kMessages ? "messages" : "conversations";
      if (json_find(row, field) == nullptr) return fail(ErrorCode::kParse, "expected the field '{}'", field);
      return one(TRY(conversation_row(row, TRY(prompt_of(row)))));
    }
    case RowFormat::kAlpaca: {
      JsonArray messages = TRY(prompt_of(row));
      for (Json& message : TRY(answer_of(row))) messages.push_back(std::move(message));
      return one(TRY(conversation_row(row, std::move(messages))));
    }
    case RowFormat::kInstances:
      return instance_rows(row);
    case RowFormat::kPromptCompletion:
      return one(TRY(prompt_completion_row(row)));
    case RowFormat::kPreference:
      return one(TRY(preference_row(row)));
    case RowFormat::kKto:
      break;
  }
  return one(TRY(kto_row(row)));
}

std::string prompt_text(const JsonObject& row) {
  const Json* list = first_of(row, {"prompt", "messages"});
  if (list == nullptr || !list->is_array()) {
    const Json* text = json_find(row, "text");
    return text != nullptr && text->is_string() ? std::string(text->get_string()) : dump_json(row);
  }
  std::string out;
  for (const Json& message : list->get_array()) {
    const std::string role = json_string(message, "role").value_or("");
    if (role == "assistant" && !row.contains("prompt")) break;
    out += role + ": " + json_string(message, "content").value_or("") + "\n";
  }
  return out;
}

}  // namespace volant
