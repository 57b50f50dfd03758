#include "text/chat_template.h"

#include <algorithm>

#include "text/jinja_evaluator.h"
#include "text/jinja_parser.h"
#include "text/unicode.h"

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

namespace {

jinja::Dict names_of(const JsonArray& messages, bool add_generation_prompt, const JsonObject& variables) {
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
  return names;
}

bool has_generation(const jinja::Body& body) {
  return std::any_of(body.begin(), body.end(), [](const auto& statement) {
    const auto& s = *statement;
    return s.kind == jinja::Statement::Kind::kGeneration || has_generation(s.body) ||
           has_generation(s.otherwise) || (s.macro != nullptr && has_generation(s.macro->body)) ||
           std::any_of(s.branches.begin(), s.branches.end(),
                       [](const auto& branch) { return has_generation(branch.second); });
  });
}

}  // namespace

bool ChatTemplate::marks_generation() const { return has_generation(program_->body); }

Result<std::string> ChatTemplate::render(const JsonArray& messages, bool add_generation_prompt,
                                         const JsonObject& variables) const {
  Result<std::string> text =
      jinja::render(program_->body, names_of(messages, add_generation_prompt, variables));
  if (!text) return std::move(text).error().at("chat_template");
  return text;
}

Result<RenderedChat> ChatTemplate::render_marked(const JsonArray& messages, bool add_generation_prompt,
                                                 const JsonObject& variables) const {
  jinja::Marks marks;
  Result<std::string> text =
      jinja::render(program_->body, names_of(messages, add_generation_prompt, variables), &marks);
  if (!text) return std::move(text).error().at("chat_template");
  RenderedChat out{std::move(*text), {}};
  size_t at = 0;
  uint32_t before = 0;  // characters up to `at`
  const auto characters_to = [&](size_t byte) {
    before += static_cast<uint32_t>(count_code_points(std::string_view(out.text).substr(at, byte - at)));
    at = byte;
    return before;
  };
  for (const auto& [begin, end] : marks) {
    const uint32_t first = characters_to(begin);
    out.generated.push_back({first, characters_to(end)});
  }
  return out;
}

std::string default_chat_template() {
  return "{{ bos_token }}{% for message in messages %}"
         "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
         "{{ raise_exception('expected role system, user or assistant, got ' ~ message['role']) }}{% endif %}"
         "{{ '<|' ~ message['role'] ~ '|>' ~ message['content'] ~ '<|end|>' }}"
         "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";
}

}  // namespace volant
