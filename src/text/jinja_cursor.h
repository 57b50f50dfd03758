// Where the parser is in the tokens of a template, how deep it is nested, and its errors, which name the
// line.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_lexer.h"

namespace volant::jinja {

class Cursor {
 public:
  static constexpr int kMaxDepth = 200;

  explicit Cursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const;
  const Token& next() { return tokens_[at_++]; }  // gives the one it leaves
  bool at_end() const { return is(Token::Kind::kEnd); }
  bool is(Token::Kind kind) const { return now().kind == kind; }
  bool is(std::string_view op) const { return is(Token::Kind::kOperator) && now().text == op; }
  bool is_name(std::string_view name) const { return is(Token::Kind::kName) && now().text == name; }

  // Steps over the token when it is that one.
  bool take(Token::Kind kind);
  bool take(std::string_view op);
  bool take_name(std::string_view name);

  // The same, where nothing else is right: kParse.
  Status expect(std::string_view op);
  Status expect_block_end();
  Result<std::string> expect_name();

  Error error(ErrorCode code, const std::string& what) const;
  Error expected(const std::string& what) const;  // "expected WHAT, got ...": kParse

  int& depth() { return depth_; }
  Status check_depth() const;  // kLimit

 private:
  std::vector<Token> tokens_;  // the last one is kEnd
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace volant::jinja
