#include "server/openai_response.h"

namespace volant {
namespace {

// JSON text is UTF-8; a token may be part of a character.
// Such bytes come out as U+FFFD here and exactly under "bytes".
std::string printable(const std::string& bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    const size_t n = c < 0x80                ? 1
                     : c >= 0xC2 && c < 0xE0 ? 2
                     : c >= 0xE0 && c < 0xF0 ? 3
                     : c >= 0xF0 && c < 0xF5 ? 4
                                             : 0;
    bool whole = n > 0 && i + n <= bytes.size();
    for (size_t k = 1; whole && k < n; ++k) whole = (static_cast<unsigned char>(bytes[i + k]) & 0xC0) == 0x80;
    if (whole) {
      out += bytes.substr(i, n);
      i += n;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

std::string bytes_of(const Tokenizer& tokenizer, int32_t id) {
  return tokenizer.is_special(id) ? tokenizer.token_text(id) : tokenizer.token_bytes(id);
}

JsonObject chat_logprob(const Tokenizer& tokenizer, const TokenLogprob& token) {
  const std::string bytes = bytes_of(tokenizer, token.id);
  JsonArray list;
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return {{"token", printable(bytes)}, {"logprob", token.logprob}, {"bytes", std::move(list)}};
}

// {"content":[{"token","logprob","bytes","top_logprobs":[...]}],"refusal":null}
JsonObject chat_logprobs(const Tokenizer& tokenizer, std::span<const GenerateEvent> tokens) {
  JsonArray content;
  for (const GenerateEvent& event : tokens) {
    if (!event.logprob) continue;
    JsonObject token = chat_logprob(tokenizer, *event.logprob);
    JsonArray top;
    for (const TokenLogprob& other : event.top) top.push_back(chat_logprob(tokenizer, other));
    token["top_logprobs"] = std::move(top);
    content.push_back(std::move(token));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

// {"tokens":[...],"token_logprobs":[...],"top_logprobs":[{token:logprob}],"text_offset":[...]}
JsonObject plain_logprobs(const Tokenizer& tokenizer, std::span<const GenerateEvent> tokens, size_t offset) {
  JsonArray texts, logprobs, tops, offsets;
  for (const GenerateEvent& event : tokens) {
    if (!event.logprob) continue;
    const std::string text = printable(bytes_of(tokenizer, event.logprob->id));
    texts.push_back(Json(text));
    logprobs.push_back(event.logprob->logprob);
    JsonObject top;
    for (const TokenLogprob& other : event.top) {
      top[printable(bytes_of(tokenizer, other.id))] = other.logprob;
    }
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += text.size();
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

Json logprobs_of(const AnswerHead& head, const Tokenizer& tokenizer, std::span<const GenerateEvent> tokens,
                 bool wanted, size_t offset = 0) {
  if (!wanted) return nullptr;
  return head.chat ? chat_logprobs(tokenizer, tokens) : plain_logprobs(tokenizer, tokens, offset);
}

Json name_or_null(const std::string& name) { return name.empty() ? Json(nullptr) : Json(name); }

}  // namespace

JsonObject to_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

JsonObject whole_answer(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage,
                        const Tokenizer& tokenizer, bool logprobs) {
  JsonArray list;
  for (const Choice& choice : choices) {
    JsonObject object{{"index", choice.index}};
    if (head.chat) {
      object["message"] = JsonObject{{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    } else {
      object["text"] = choice.text;
    }
    object["logprobs"] = logprobs_of(head, tokenizer, choice.tokens, logprobs);
    object["finish_reason"] = name_or_null(choice.finish_reason);
    list.push_back(std::move(object));
  }
  return {{"id", head.id},
          {"object", head.chat ? "chat.completion" : "text_completion"},
          {"created", head.created},
          {"model", head.model},
          {"choices", std::move(list)},
          {"usage", to_json(usage)},
          {"system_fingerprint", head.fingerprint}};
}

ChunkWriter::ChunkWriter(AnswerHead head, const Tokenizer& tokenizer, bool logprobs, bool with_usage)
    : head_(std::move(head)), tokenizer_(tokenizer), logprobs_(logprobs), with_usage_(with_usage) {
  const JsonObject fields{{"id", head_.id},
                          {"object", head_.chat ? "chat.completion.chunk" : "text_completion"},
                          {"created", head_.created},
                          {"model", head_.model},
                          {"system_fingerprint", head_.fingerprint}};
  prefix_ = dump_json(fields);
  prefix_.back() = ',';  // the rest of the object follows
  prefix_ = "data: " + prefix_;
}

std::string ChunkWriter::chunk(const JsonArray& choices, const Json& usage) const {
  std::string out = prefix_ + "\"choices\":" + dump_json(choices);
  if (with_usage_) out += ",\"usage\":" + dump_json(usage);
  return out + "}\n\n";
}

std::string ChunkWriter::role(int index) const {
  if (!head_.chat) return {};
  const JsonObject choice{{"index", index},
                          {"delta", JsonObject{{"role", "assistant"}, {"content", ""}}},
                          {"logprobs", nullptr},
                          {"finish_reason", nullptr}};
  return chunk(JsonArray{choice}, nullptr);
}

std::string ChunkWriter::text(int index, const GenerateEvent& event, size_t offset) const {
  const bool logprobs = logprobs_ && event.logprob.has_value();
  if (event.text.empty() && !logprobs) return {};
  // Once a token for each client: written straight, as chunk() would.
  if (!logprobs) {
    const std::string text = dump_json(Json(event.text));
    return fmt::format(
        "{}\"choices\":[{{\"index\":{},{}{}{},\"logprobs\":null,\"finish_reason\":null}}]{}}}\n\n", prefix_,
        index, head_.chat ? "\"delta\":{\"content\":" : "\"text\":", text, head_.chat ? "}" : "",
        with_usage_ ? ",\"usage\":null" : "");
  }
  JsonObject choice{{"index", index}};
  if (head_.chat) {
    choice["delta"] = JsonObject{{"content", event.text}};
  } else {
    choice["text"] = event.text;
  }
  choice["logprobs"] = logprobs_of(head_, tokenizer_, std::span(&event, 1), true, offset);
  choice["finish_reason"] = nullptr;
  return chunk(JsonArray{std::move(choice)}, nullptr);
}

std::string ChunkWriter::finish(int index, const std::string& reason) const {
  JsonObject choice{{"index", index}};
  if (head_.chat) {
    choice["delta"] = JsonObject();
  } else {
    choice["text"] = "";
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = name_or_null(reason);
  return chunk(JsonArray{std::move(choice)}, nullptr);
}

std::string ChunkWriter::usage(const Usage& usage) const {
  return with_usage_ ? chunk(JsonArray(), to_json(usage)) : std::string();
}

std::string ChunkWriter::error(const JsonObject& error) {
  return "data: " + dump_json(JsonObject{{"error", error}}) + "\n\n";
}

}  // namespace volant
