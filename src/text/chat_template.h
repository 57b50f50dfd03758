// Chat templates: the subset of Jinja that `chat_template` in tokenizer_config.json uses, rendered to the
// letter. A construct that is not supported is an error that names line and construct.
#pragma once
#include <memory>

#include "base/json.h"
#include "text/aligned_text.h"

namespace volant {

// A conversation as text, and the code points of it that {% generation %} blocks wrote: what the assistant
// said.
struct RenderedChat {
  std::string text;
  std::vector<TextSpan> generated;
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();
  // `messages`: array of {role, content, ...}; `variables`: further names (bos_token, eos_token, tools, ...).
  Result<std::string> render(const JsonArray& messages, bool add_generation_prompt,
                             const JsonObject& variables = {}) const;
  // The same with what the assistant said, for masks of losses: tokens_within() finds its tokens.
  // kUnsupported when a generation block is where its place is not known (in a macro, a set, filter or call
  // block).
  Result<RenderedChat> render_marked(const JsonArray& messages, bool add_generation_prompt,
                                     const JsonObject& variables = {}) const;
  // Whether the template has generation blocks at all.
  bool marks_generation() const;
  const std::string& source() const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

// The template of models that name none: "<|user|>\n...\n" turns; what `volant train` gives its own models.
std::string default_chat_template();

}  // namespace volant
