// The first byte chooses HTML or Markdown.
#include "data/html.h"
#include "data/markdown.h"
#include "fuzz/fuzz_input.h"
#include "text/unicode.h"

using namespace volant;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = fuzz::text_of(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    (void)declared_charset(bytes);
    const Result<HtmlText> html = text_of_html(to_valid_utf8(bytes));
    if (html) fuzz::require(is_valid_utf8(html->text), "text of HTML is UTF-8");
  } else {
    const std::string text = to_valid_utf8(bytes);
    fuzz::require(is_valid_utf8(text_of_markdown(text)), "text of Markdown is UTF-8");
    (void)sections_of_markdown(text);
  }
  return 0;
}
