// Markdown (CommonMark and GitHub tables, by line, not a full parser) to plain text: markers of headings,
// emphasis, quotes, code fences and links go, their text stays; front matter, comments, HTML tags, rules and
// link definitions go. Lists keep their markers.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace volant {

std::string text_of_markdown(std::string_view markdown);

// The document cut before each heading ("#" to "######", not inside code), each part with its heading.
std::vector<std::string> sections_of_markdown(std::string_view markdown);

}  // namespace volant
