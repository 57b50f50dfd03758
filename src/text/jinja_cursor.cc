#include "text/jinja_cursor.h"

#include <algorithm>

namespace volant::jinja {
namespace {

std::string shown(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kEnd:
      return "the end of the template";
    case Token::Kind::kBlockEnd:
      return "'%}'";
    case Token::Kind::kPrintEnd:
      return "'}}'";
    default:
      return "'" + token.text + "'";
  }
}

}  // namespace

const Token& Cursor::ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }

bool Cursor::take(Token::Kind kind) {
  const bool found = is(kind);
  at_ += found ? 1U : 0U;
  return found;
}

bool Cursor::take(std::string_view op) {
  const bool found = is(op);
  at_ += found ? 1U : 0U;
  return found;
}

bool Cursor::take_name(std::string_view name) {
  const bool found = is_name(name);
  at_ += found ? 1U : 0U;
  return found;
}

Status Cursor::expect(std::string_view op) {
  if (!take(op)) return expected("'" + std::string(op) + "'");
  return {};
}

Status Cursor::expect_block_end() {
  if (!take(Token::Kind::kBlockEnd)) return expected("'%}'");
  return {};
}

Result<std::string> Cursor::expect_name() {
  if (!is(Token::Kind::kName)) return expected("a name");
  return next().text;
}

Error Cursor::error(ErrorCode code, const std::string& what) const {
  return fail(code, "line {}: {}", now().line, what);
}

Error Cursor::expected(const std::string& what) const {
  return error(ErrorCode::kParse, "expected " + what + ", got " + shown(now()));
}

Status Cursor::check_depth() const {
  if (depth_ > kMaxDepth) return error(ErrorCode::kLimit, "nested too deep");
  return {};
}

}  // namespace volant::jinja
