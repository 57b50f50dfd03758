#include "text/jinja_expressions.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "text/jinja_builtins.h"
#include "text/jinja_nesting.h"

namespace volant::jinja {

ExprPtr ExpressionParser::make(Expr::Kind kind) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = cursor_.now().line;
  return expr;
}

Status ExpressionParser::adopt(Expr& parent, ExprPtr child) const {
  if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > 2 * Cursor::kMaxDepth)
    return cursor_.error(ErrorCode::kLimit, "an expression is too long");
  parent.args.push_back(std::move(child));
  return {};
}

Result<ExprPtr> ExpressionParser::make_binary(Expr::Kind kind, std::string name, ExprPtr left,
                                              ExprPtr right) const {
  ExprPtr expr = make(kind);
  expr->name = std::move(name);
  TRY(adopt(*expr, std::move(left)));
  TRY(adopt(*expr, std::move(right)));
  return expr;
}

Result<ExprPtr> ExpressionParser::tuple(bool choices) {
  ExprPtr first = choices ? TRY(expression()) : TRY(or_expression());
  if (!cursor_.is(",")) return first;
  ExprPtr list = make(Expr::Kind::kList);
  list->name = "tuple";
  TRY(adopt(*list, std::move(first)));
  while (cursor_.take(",")) {
    if (cursor_.is(Kind::kBlockEnd) || cursor_.is(Kind::kPrintEnd) || cursor_.is(")")) break;
    TRY(adopt(*list, choices ? TRY(expression()) : TRY(or_expression())));
  }
  return list;
}

Result<std::vector<ExprPtr>> ExpressionParser::filter_chain(bool with_bar) {
  std::vector<ExprPtr> filters;
  while (with_bar ? cursor_.take("|") : filters.empty() || cursor_.take("|")) {
    ExprPtr filter = TRY(filter_after_bar(nullptr));
    filters.push_back(std::move(filter));
  }
  return filters;
}

// ---- operators, loosest first

Result<ExprPtr> ExpressionParser::expression() {
  const Level level(cursor_.depth());
  TRY(cursor_.check_depth());
  ExprPtr expr = TRY(or_expression());
  while (cursor_.take_name("if")) {
    ExprPtr condition = TRY(or_expression());
    ExprPtr otherwise;
    if (cursor_.take_name("else")) otherwise = TRY(expression());
    ExprPtr choose = TRY(make_binary(Expr::Kind::kChoose, "if", std::move(expr), std::move(condition)));
    TRY(adopt(*choose, std::move(otherwise)));
    expr = std::move(choose);
  }
  return expr;
}

Result<ExprPtr> ExpressionParser::or_expression() {
  ExprPtr left = TRY(and_expression());
  while (cursor_.take_name("or"))
    left = TRY(make_binary(Expr::Kind::kOr, "or", std::move(left), TRY(and_expression())));
  return left;
}

Result<ExprPtr> ExpressionParser::and_expression() {
  ExprPtr left = TRY(not_expression());
  while (cursor_.take_name("and"))
    left = TRY(make_binary(Expr::Kind::kAnd, "and", std::move(left), TRY(not_expression())));
  return left;
}

Result<ExprPtr> ExpressionParser::not_expression() {
  const Level level(cursor_.depth());
  TRY(cursor_.check_depth());
  if (!cursor_.take_name("not")) return compare();
  ExprPtr expr = make(Expr::Kind::kNot);
  TRY(adopt(*expr, TRY(not_expression())));
  return expr;
}

std::string ExpressionParser::compare_operator() {
  for (const std::string_view op : {"==", "!=", "<=", ">=", "<", ">"})
    if (cursor_.take(op)) return std::string(op);
  if (cursor_.take_name("in")) return "in";
  if (cursor_.is_name("not") && cursor_.ahead().kind == Kind::kName && cursor_.ahead().text == "in") {
    cursor_.next();
    cursor_.next();
    return "not in";
  }
  return "";
}

Result<ExprPtr> ExpressionParser::compare() {
  ExprPtr first = TRY(sum());
  ExprPtr chain;
  for (std::string op; !(op = compare_operator()).empty();) {
    if (chain == nullptr) {
      chain = make(Expr::Kind::kCompare);
      TRY(adopt(*chain, std::move(first)));
    }
    chain->operators.push_back(op);
    TRY(adopt(*chain, TRY(sum())));
  }
  return chain != nullptr ? std::move(chain) : std::move(first);
}

Result<ExprPtr> ExpressionParser::binary(std::initializer_list<std::string_view> ops, Operand operand) {
  ExprPtr left = TRY((this->*operand)());
  while (true) {
    std::string found;
    for (const std::string_view op : ops)
      if (found.empty() && cursor_.take(op)) found = op;
    if (found.empty()) return left;
    left = TRY(make_binary(Expr::Kind::kBinary, found, std::move(left), TRY((this->*operand)())));
  }
}

Result<ExprPtr> ExpressionParser::sum() { return binary({"+", "-"}, &ExpressionParser::concat); }
Result<ExprPtr> ExpressionParser::concat() { return binary({"~"}, &ExpressionParser::product); }
Result<ExprPtr> ExpressionParser::product() {
  return binary({"*", "//", "/", "%"}, &ExpressionParser::power);
}
Result<ExprPtr> ExpressionParser::power() { return binary({"**"}, &ExpressionParser::unary); }
Result<ExprPtr> ExpressionParser::unary() { return unary_with(true); }

Result<ExprPtr> ExpressionParser::unary_with(bool filters) {
  const Level level(cursor_.depth());
  TRY(cursor_.check_depth());
  ExprPtr expr;
  if (cursor_.is("-") || cursor_.is("+")) {
    expr = make(cursor_.is("-") ? Expr::Kind::kNegate : Expr::Kind::kPlus);
    cursor_.next();
    TRY(adopt(*expr, TRY(unary_with(false))));
  } else {
    expr = TRY(postfix(TRY(primary())));
  }
  return filters ? filtered(std::move(expr)) : std::move(expr);
}

// ---- names and literals

Result<ExprPtr> ExpressionParser::primary() {
  switch (cursor_.now().kind) {
    case Kind::kString:
      return text();
    case Kind::kInt:
      return integer();
    case Kind::kFloat: {
      ExprPtr expr = make(Expr::Kind::kConstant);
      expr->value = Value::of(std::strtod(cursor_.next().text.c_str(), nullptr));
      return expr;
    }
    case Kind::kName:
      return named();
    default:
      break;
  }
  if (cursor_.is("(")) return parenthesis();
  if (cursor_.take("[")) return list_literal();
  if (cursor_.take("{")) return dict_literal();
  return cursor_.expected("an expression");
}

// Texts side by side are one text.
Result<ExprPtr> ExpressionParser::text() {
  ExprPtr expr = make(Expr::Kind::kConstant);
  expr->value = Value::of(cursor_.next().text);
  while (cursor_.is(Kind::kString)) expr->value = Value::of(*expr->value.text() + cursor_.next().text);
  return expr;
}

Result<ExprPtr> ExpressionParser::integer() {
  const std::string& digits = cursor_.now().text;
  int64_t number = 0;
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (bad != std::errc()) return cursor_.error(ErrorCode::kLimit, "number " + digits + " is too large");
  ExprPtr expr = make(Expr::Kind::kConstant);
  expr->value = Value::of(number);
  cursor_.next();
  return expr;
}

Result<ExprPtr> ExpressionParser::named() {
  ExprPtr expr = make(Expr::Kind::kConstant);
  const std::string& name = cursor_.next().text;
  if (name == "true" || name == "True") {
    expr->value = Value::of(true);
  } else if (name == "false" || name == "False") {
    expr->value = Value::of(false);
  } else if (name == "none" || name == "None") {
    expr->value = Value::none();
  } else {
    expr->kind = Expr::Kind::kName;
    expr->name = name;
  }
  return expr;
}

Result<ExprPtr> ExpressionParser::parenthesis() {
  ExprPtr empty = make(Expr::Kind::kList);
  empty->name = "tuple";
  TRY(cursor_.expect("("));
  if (cursor_.take(")")) return empty;
  ExprPtr expr = TRY(tuple());
  TRY(cursor_.expect(")"));
  return expr;
}

Result<ExprPtr> ExpressionParser::list_literal() {
  ExprPtr list = make(Expr::Kind::kList);
  while (!cursor_.take("]")) {
    if (!list->args.empty()) TRY(cursor_.expect(","));
    if (cursor_.take("]")) break;
    TRY(adopt(*list, TRY(expression())));
  }
  return list;
}

Result<ExprPtr> ExpressionParser::dict_literal() {
  ExprPtr dict = make(Expr::Kind::kDict);
  while (!cursor_.take("}")) {
    if (!dict->args.empty()) TRY(cursor_.expect(","));
    if (cursor_.take("}")) break;
    TRY(adopt(*dict, TRY(expression())));
    TRY(cursor_.expect(":"));
    TRY(adopt(*dict, TRY(expression())));
  }
  return dict;
}

// ---- what follows an operand

Result<ExprPtr> ExpressionParser::postfix(ExprPtr expr) {
  while (true) {
    if (cursor_.take(".")) {
      expr = TRY(attribute(std::move(expr)));
    } else if (cursor_.take("[")) {
      expr = TRY(subscript(std::move(expr)));
    } else if (cursor_.is("(")) {
      expr = TRY(call(std::move(expr)));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> ExpressionParser::attribute(ExprPtr of) {
  ExprPtr expr = make(Expr::Kind::kAttribute);
  if (cursor_.is(Kind::kInt)) {  // x.0
    expr->kind = Expr::Kind::kItem;
    TRY(adopt(*expr, std::move(of)));
    TRY(adopt(*expr, TRY(primary())));
  } else {
    expr->name = TRY(cursor_.expect_name());
    TRY(adopt(*expr, std::move(of)));
  }
  return expr;
}

Result<ExprPtr> ExpressionParser::subscript(ExprPtr of) {
  ExprPtr expr = make(Expr::Kind::kItem);
  TRY(adopt(*expr, std::move(of)));
  ExprPtr part;
  if (!cursor_.is(":")) part = TRY(expression());
  if (!cursor_.is(":")) {
    TRY(adopt(*expr, std::move(part)));
    TRY(cursor_.expect("]"));
    return expr;
  }
  expr->kind = Expr::Kind::kSlice;
  TRY(adopt(*expr, std::move(part)));
  for (int i = 0; i < 2; ++i) {
    ExprPtr bound;
    if (cursor_.take(":") && !cursor_.is(":") && !cursor_.is("]")) bound = TRY(expression());
    TRY(adopt(*expr, std::move(bound)));
  }
  TRY(cursor_.expect("]"));
  return expr;
}

Result<ExprPtr> ExpressionParser::call(ExprPtr function) {
  ExprPtr expr = make(Expr::Kind::kCall);
  TRY(adopt(*expr, std::move(function)));
  TRY(arguments(*expr));
  return expr;
}

// "(" a, b, name=c ")" onto `expr`.
Status ExpressionParser::arguments(Expr& expr) {
  TRY(cursor_.expect("("));
  for (bool first = true; !cursor_.take(")"); first = false) {
    if (!first) TRY(cursor_.expect(","));
    if (cursor_.take(")")) break;
    if (cursor_.is("*") || cursor_.is("**"))
      return cursor_.error(ErrorCode::kUnsupported, "arguments unpacked with '*' are not supported");
    if (cursor_.is(Kind::kName) && cursor_.ahead().kind == Kind::kOperator && cursor_.ahead().text == "=") {
      std::string name = cursor_.next().text;
      cursor_.next();
      ExprPtr value = TRY(expression());
      expr.depth = std::max(expr.depth, value->depth + 1);
      expr.keywords.emplace_back(std::move(name), std::move(value));
      continue;
    }
    if (!expr.keywords.empty()) return cursor_.expected("a keyword argument");
    TRY(adopt(expr, TRY(expression())));
  }
  return {};
}

Result<ExprPtr> ExpressionParser::filtered(ExprPtr expr) {
  while (true) {
    if (cursor_.take("|")) {
      expr = TRY(filter_after_bar(std::move(expr)));
    } else if (cursor_.take_name("is")) {
      expr = TRY(test_after_is(std::move(expr)));
    } else if (cursor_.is("(")) {
      expr = TRY(call(std::move(expr)));
    } else {
      return expr;
    }
  }
}

Result<ExprPtr> ExpressionParser::filter_after_bar(ExprPtr on) {
  ExprPtr expr = make(Expr::Kind::kFilter);
  expr->name = TRY(cursor_.expect_name());
  if (!has_filter(expr->name))
    return cursor_.error(ErrorCode::kUnsupported, "filter '" + expr->name + "' is not supported");
  TRY(adopt(*expr, std::move(on)));
  if (cursor_.is("(")) TRY(arguments(*expr));
  return expr;
}

Result<ExprPtr> ExpressionParser::test_after_is(ExprPtr on) {
  const bool negated = cursor_.take_name("not");
  ExprPtr expr = make(Expr::Kind::kTest);
  expr->name = TRY(cursor_.expect_name());
  if (!has_test(expr->name))
    return cursor_.error(ErrorCode::kUnsupported, "test '" + expr->name + "' is not supported");
  TRY(adopt(*expr, std::move(on)));
  if (cursor_.is("(")) {
    TRY(arguments(*expr));
  } else if (argument_begins()) {
    TRY(adopt(*expr, TRY(postfix(TRY(primary())))));
  }
  if (!negated) return expr;
  ExprPtr inverse = make(Expr::Kind::kNot);
  TRY(adopt(*inverse, std::move(expr)));
  return inverse;
}

// Whether a test goes on with an argument without brackets: "is divisibleby 3".
bool ExpressionParser::argument_begins() const {
  if (cursor_.is(Kind::kName)) {
    for (const std::string_view name : {"else", "or", "and", "if", "is", "in", "not"})
      if (cursor_.is_name(name)) return false;
    return true;
  }
  return cursor_.is(Kind::kString) || cursor_.is(Kind::kInt) || cursor_.is(Kind::kFloat) || cursor_.is("[") ||
         cursor_.is("{");
}

}  // namespace volant::jinja
