// Reads expressions from a cursor: what stands in {{ }} and inside the tags of statements.
#pragma once
#include "text/jinja_ast.h"
#include "text/jinja_cursor.h"

namespace volant::jinja {

class ExpressionParser {
 public:
  // The cursor must outlive it; each call leaves it behind what was read.
  explicit ExpressionParser(Cursor& cursor) : cursor_(cursor) {}

  Result<ExprPtr> expression();
  // a, b, c: a list when there is a comma. `choices`: "x if y else z" is allowed.
  Result<ExprPtr> tuple(bool choices = true);
  // Filters without what they are applied to. `with_bar`: each follows a "|", the first too.
  Result<std::vector<ExprPtr>> filter_chain(bool with_bar);

 private:
  using Kind = Token::Kind;
  using Operand = Result<ExprPtr> (ExpressionParser::*)();

  ExprPtr make(Expr::Kind kind) const;
  // Gives the child to the parent; kLimit when the tree is too deep.
  Status adopt(Expr& parent, ExprPtr child) const;
  Result<ExprPtr> make_binary(Expr::Kind kind, std::string name, ExprPtr left, ExprPtr right) const;

  // Operators, loosest first.
  Result<ExprPtr> or_expression();
  Result<ExprPtr> and_expression();
  Result<ExprPtr> not_expression();
  Result<ExprPtr> compare();
  std::string compare_operator();
  Result<ExprPtr> binary(std::initializer_list<std::string_view> ops, Operand operand);
  Result<ExprPtr> sum();
  Result<ExprPtr> concat();
  Result<ExprPtr> product();
  Result<ExprPtr> power();
  Result<ExprPtr> unary();
  Result<ExprPtr> unary_with(bool filters);

  // Names and literals.
  Result<ExprPtr> primary();
  Result<ExprPtr> text();
  Result<ExprPtr> integer();
  Result<ExprPtr> named();
  Result<ExprPtr> parenthesis();
  Result<ExprPtr> list_literal();
  Result<ExprPtr> dict_literal();

  // What follows an operand.
  Result<ExprPtr> postfix(ExprPtr expr);
  Result<ExprPtr> attribute(ExprPtr of);
  Result<ExprPtr> subscript(ExprPtr of);
  Result<ExprPtr> call(ExprPtr function);
  Status arguments(Expr& expr);
  Result<ExprPtr> filtered(ExprPtr expr);
  Result<ExprPtr> filter_after_bar(ExprPtr on);
  Result<ExprPtr> test_after_is(ExprPtr on);
  bool argument_begins() const;

  Cursor& cursor_;
};

}  // namespace volant::jinja
