#include "text/chat_template.h"

#include "text/jinja_evaluator.h"
#include "text/jinja_parser.h"

namespace volant {

struct ChatTemplate::Program {
  std::string source;
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto program = std::make_unique<Program>();
  program->source = source;
  Result<jinja::Body> body = jinja::parse_template(source);
  if (!body) return std::move(body).error().at("chat_template");
  program->body = std::move(*body);
  return ChatTemplate(std::move(program));
}

const std::string& ChatTemplate::source() const { return program_->source; }

Result<std::string> ChatTemplate::render(const JsonArray& messages, bool add_generation_prompt,
                                         const JsonObject& variables) const {
  jinja::Dict names;
  for (const auto& [key, value] : variables)
    jinja::put(names, jinja::Value::of(std::string(key)), jinja::Value::from_json(value));
  jinja::put(names, jinja::Value::of(std::string("messages")), jinja::Value::from_json(messages));
  jinja::put(names, jinja::Value::of(std::string("add_generation_prompt")),
             jinja::Value::of(add_generation_prompt));
  // As apply_chat_template gives them when the caller does not.
  for (const char* absent : {"tools", "documents"}) {
    const auto key = jinja::Value::of(std::string(absent));
    if (jinja::find(names, key) == nullptr) jinja::put(names, key, jinja::Value::none());
  }
  Result<std::string> text = jinja::render(program_->body, names);
  if (!text) return std::move(text).error().at("chat_template");
  return text;
}

std::string default_chat_template() {
  return "{{ bos_token }}{% for message in messages %}"
         "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
         "{{ raise_exception('expected role system, user or assistant, got ' ~ message['role']) }}{% endif %}"
         "{{ '<|' ~ message['role'] ~ '|>' ~ message['content'] ~ '<|end|>' }}"
         "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";
}

}  // namespace volant
