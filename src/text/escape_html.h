// Texts inside HTML.
#pragma once
#include <string>
#include <string_view>

namespace volant {

// `&`, `<`, `>`, `"` and `'` as entities: safe between tags and in quoted attributes.
std::string escape_html(std::string_view text);

}  // namespace volant
