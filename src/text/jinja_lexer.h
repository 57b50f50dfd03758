// A Jinja template as tokens: text between tags (blanks already trimmed as `trim_blocks`, `lstrip_blocks` and
// the "-" and "+" signs say), and inside the tags names, numbers, strings and operators.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant::jinja {

struct Token {
  enum class Kind {
    kText,
    kBlockBegin,
    kBlockEnd,
    kPrintBegin,
    kPrintEnd,
    kName,
    kString,
    kInt,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  // of kText, kName, kString (escapes resolved), kOperator; the digits of a number
  int line = 1;
};

// Source as transformers' apply_chat_template reads it. kParse with "line N" in front.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace volant::jinja
