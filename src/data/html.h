// HTML (parsed by gumbo as browsers do) to the text that its author wrote: headings, paragraphs, lists,
// tables and preformatted text, block by block. Scripts, styles, navigation, headers, footers, asides, forms,
// hidden parts and menus (runs of blocks that are all links) are left out; <main> or <article> is preferred
// where a page has it. Layout and pictures are not looked at.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace volant {

struct HtmlText {
  std::string title;  // of <title>; not part of the text
  std::string text;   // blocks separated by blank lines
};

// `utf8` is a page as UTF-8 text.
// kLimit for a page that is too large, too deeply nested or too costly to parse.
Result<HtmlText> text_of_html(std::string_view utf8);

// The charset that a page declares about itself in its first bytes ("gbk"), or an empty text.
std::string declared_charset(std::string_view bytes);

}  // namespace volant
