#include "fuzz/fuzz_input.h"
#include "text/chat_template.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const JsonArray messages =
      parse_json(R"([{"role":"system","content":"Be kind."},{"role":"user","content":"Hi 你好"},
      {"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}])")
          .value()
          .as_array();
  static const JsonObject variables{{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"tools", nullptr}};
  const Result<ChatTemplate> parsed = ChatTemplate::parse(fuzz::text_of(data, size));
  if (!parsed) return 0;
  fuzz::require(parsed->source() == fuzz::text_of(data, size), "the source is kept");
  const Result<std::string> text = parsed->render(messages, true, variables);
  const Result<RenderedChat> marked = parsed->render_marked(messages, true, variables);
  if (text && marked) fuzz::require(*text == marked->text, "marks change no text");
  if (marked)
    for (const TextSpan& span : marked->generated)
      fuzz::require(span.begin <= span.end && span.end <= marked->text.size(), "marks are of the text");
  return 0;
}
