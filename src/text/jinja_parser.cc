#include "text/jinja_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "text/jinja_lexer.h"

namespace volant::jinja {
namespace {

constexpr int kMaxDepth = 200;
constexpr size_t kMaxSourceBytes = 1U << 20;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Body> run() {
    Body body = TRY(body_until({}));
    return body;
  }

 private:
  using Kind = Token::Kind;

  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(std::string_view op) const { return now().kind == Kind::kOperator && now().text == op; }
  bool is_name(std::string_view name) const { return now().kind == Kind::kName && now().text == name; }
  bool take(std::string_view op) {
    const bool found = is(op);
    at_ += found ? 1U : 0U;
    return found;
  }
  bool take_name(std::string_view name) {
    const bool found = is_name(name);
    at_ += found ? 1U : 0U;
    return found;
  }
  Error error(ErrorCode code, const std::string& what) const {
    return fail(code, "line {}: {}", now().line, what);
  }
  std::string shown() const {
    switch (now().kind) {
      case Kind::kEnd:
        return "the end of the template";
      case Kind::kBlockEnd:
        return "'%}'";
      case Kind::kPrintEnd:
        return "'}}'";
      default:
        return "'" + now().text + "'";
    }
  }
  Error expected(const std::string& what) const {
    return error(ErrorCode::kParse, "expected " + what + ", got " + shown());
  }
  Status expect(std::string_view op) {
    if (!take(op)) return expected("'" + std::string(op) + "'");
    return {};
  }
  Status expect_block_end() {
    if (now().kind != Kind::kBlockEnd) return expected("'%}'");
    ++at_;
    return {};
  }
  Result<std::string> expect_name() {
    if (now().kind != Kind::kName) return expected("a name");
    return tokens_[at_++].text;
  }

  // One level of nesting, checked.
  struct Level {
    explicit Level(int& d) : depth(d) { ++depth; }
    ~Level() { --depth; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int& depth;
  };
  Status check_depth() const {
    if (depth_ > kMaxDepth) return error(ErrorCode::kLimit, "nested too deep");
    return {};
  }

  ExprPtr make(Expr::Kind kind) const {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->line = now().line;
    return expr;
  }
  Status adopt(Expr& parent, ExprPtr child) const {
    if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > 2 * kMaxDepth) return error(ErrorCode::kLimit, "an expression is too long");
    parent.args.push_back(std::move(child));
    return {};
  }
  Result<ExprPtr> make_binary(Expr::Kind kind, std::string name, ExprPtr left, ExprPtr right) const {
    ExprPtr expr = make(kind);
    expr->name = std::move(name);
    if (Status status = adopt(*expr, std::move(left)); !status) return std::move(status).error();
    if (Status status = adopt(*expr, std::move(right)); !status) return std::move(status).error();
    return expr;
  }

  // ---- statements

  // Statements up to a block tag that begins with one of `ends` (left standing at that name), or the end.
  Result<Body> body_until(std::initializer_list<std::string_view> ends) {
    const Level level(depth_);
    if (Status status = check_depth(); !status) return std::move(status).error();
    Body body;
    while (now().kind != Kind::kEnd) {
      auto statement = std::make_unique<Statement>();
      statement->line = now().line;
      if (now().kind == Kind::kText) {
        statement->name = now().text;
        ++at_;
      } else if (now().kind == Kind::kPrintBegin) {
        ++at_;
        statement->kind = Statement::Kind::kPrint;
        statement->expr = TRY(tuple());
        if (now().kind != Kind::kPrintEnd) return expected("'}}'");
        ++at_;
      } else {
        if (now().kind != Kind::kBlockBegin) return expected("a tag");
        ++at_;
        if (now().kind != Kind::kName) return expected("the name of a statement");
        if (std::find(ends.begin(), ends.end(), now().text) != ends.end()) return body;
        if (Status status = statement_into(*statement); !status) return std::move(status).error();
      }
      body.push_back(std::move(statement));
    }
    if (ends.size() != 0) return expected("'" + std::string(*(ends.end() - 1)) + "'");
    return body;
  }

  // The body of a statement, and its end tag.
  Result<Body> body_and_end(std::string_view end) {
    Body body = TRY(body_until({end}));
    ++at_;
    if (Status status = expect_block_end(); !status) return std::move(status).error();
    return body;
  }

  Status statement_into(Statement& out) {
    const std::string name = now().text;
    using Parse = Status (Parser::*)(Statement&);
    static constexpr std::array<std::pair<std::string_view, Parse>, 10> kStatements = {
        {{"if", &Parser::if_statement},
         {"for", &Parser::for_statement},
         {"set", &Parser::set_statement},
         {"macro", &Parser::macro_statement},
         {"call", &Parser::call_statement},
         {"filter", &Parser::filter_statement},
         {"with", &Parser::with_statement},
         {"generation", &Parser::generation_statement},
         {"break", &Parser::jump_statement},
         {"continue", &Parser::jump_statement}}};
    for (const auto& [known, parse] : kStatements) {
      if (known != name) continue;
      ++at_;
      return (this->*parse)(out);
    }
    return error(ErrorCode::kUnsupported, "statement '" + name + "' is not supported");
  }

  Status if_statement(Statement& out) {
    out.kind = Statement::Kind::kIf;
    ExprPtr condition = TRY(tuple());
    while (true) {
      if (Status status = expect_block_end(); !status) return status;
      Body body = TRY(body_until({"elif", "else", "endif"}));
      out.branches.emplace_back(std::move(condition), std::move(body));
      if (take_name("elif")) {
        condition = TRY(tuple());
        continue;
      }
      if (take_name("else")) {
        if (Status status = expect_block_end(); !status) return status;
        Body otherwise = TRY(body_until({"endif"}));
        out.branches.emplace_back(nullptr, std::move(otherwise));
      }
      ++at_;  // endif
      return expect_block_end();
    }
  }

  Status for_statement(Statement& out) {
    out.kind = Statement::Kind::kFor;
    out.names = TRY(targets());
    if (!take_name("in")) return expected("'in'");
    out.expr = TRY(tuple(false));
    if (take_name("if")) out.condition = TRY(expression());
    if (is_name("recursive")) return error(ErrorCode::kUnsupported, "'for ... recursive' is not supported");
    if (Status status = expect_block_end(); !status) return status;
    ++loops_;
    Result<Body> body = body_until({"else", "endfor"});
    --loops_;
    out.body = TRY(std::move(body));
    if (take_name("else")) {
      if (Status status = expect_block_end(); !status) return status;
      out.otherwise = TRY(body_until({"endfor"}));
    }
    ++at_;
    return expect_block_end();
  }

  Result<std::vector<std::string>> targets() {
    std::vector<std::string> names;
    const bool bracket = take("(");
    do {
      if (bracket && is(")")) break;
      names.push_back(TRY(expect_name()));
    } while (take(","));
    if (bracket)
      if (Status status = expect(")"); !status) return std::move(status).error();
    return names;
  }

  Status set_statement(Statement& out) {
    out.kind = Statement::Kind::kSet;
    out.names = TRY(targets());
    if (out.names.size() == 1 && take(".")) out.name = TRY(expect_name());
    if (take("=")) {
      out.expr = TRY(tuple());
      return expect_block_end();
    }
    if (out.names.size() != 1 || !out.name.empty()) return expected("'='");
    out.kind = Statement::Kind::kSetBlock;
    if (is("|")) out.values = TRY(filter_chain(true));
    if (Status status = expect_block_end(); !status) return status;
    out.body = TRY(body_and_end("endset"));
    return {};
  }

  Result<std::vector<std::pair<std::string, ExprPtr>>> parameters() {
    std::vector<std::pair<std::string, ExprPtr>> list;
    if (Status status = expect("("); !status) return std::move(status).error();
    while (!take(")")) {
      if (!list.empty())
        if (Status status = expect(","); !status) return std::move(status).error();
      if (take(")")) break;
      std::string name = TRY(expect_name());
      ExprPtr otherwise;
      if (take("=")) otherwise = TRY(expression());
      list.emplace_back(std::move(name), std::move(otherwise));
    }
    return list;
  }

  Status macro_statement(Statement& out) {
    out.kind = Statement::Kind::kMacro;
    out.macro = std::make_unique<Macro>();
    out.macro->name = TRY(expect_name());
    out.macro->parameters = TRY(parameters());
    if (Status status = expect_block_end(); !status) return status;
    const int outer = std::exchange(loops_, 0);
    Result<Body> body = body_and_end("endmacro");
    loops_ = outer;
    out.macro->body = TRY(std::move(body));
    return {};
  }

  Status call_statement(Statement& out) {
    out.kind = Statement::Kind::kCallBlock;
    out.macro = std::make_unique<Macro>();
    out.macro->name = "caller";
    if (is("(")) out.macro->parameters = TRY(parameters());
    out.expr = TRY(expression());
    if (out.expr->kind != Expr::Kind::kCall) return expected("a call");
    if (Status status = expect_block_end(); !status) return status;
    out.macro->body = TRY(body_and_end("endcall"));
    return {};
  }

  Status filter_statement(Statement& out) {
    out.kind = Statement::Kind::kFilterBlock;
    out.values = TRY(filter_chain(false));
    if (Status status = expect_block_end(); !status) return status;
    out.body = TRY(body_and_end("endfilter"));
    return {};
  }

  // Filters without what they are applied to. `with_bar`: each follows a "|", the first too.
  Result<std::vector<ExprPtr>> filter_chain(bool with_bar) {
    std::vector<ExprPtr> filters;
    while (with_bar ? take("|") : filters.empty() || take("|")) {
      ExprPtr filter = TRY(filter_after_bar(nullptr));
      filters.push_back(std::move(filter));
    }
    return filters;
  }

  Status with_statement(Statement& out) {
    out.kind = Statement::Kind::kScope;
    while (now().kind != Kind::kBlockEnd) {
      if (!out.names.empty())
        if (Status status = expect(","); !status) return status;
      out.names.push_back(TRY(expect_name()));
      if (Status status = expect("="); !status) return status;
      out.values.push_back(TRY(expression()));
    }
    if (Status status = expect_block_end(); !status) return status;
    out.body = TRY(body_and_end("endwith"));
    return {};
  }

  Status generation_statement(Statement& out) {
    out.kind = Statement::Kind::kBody;
    if (Status status = expect_block_end(); !status) return status;
    out.body = TRY(body_and_end("endgeneration"));
    return {};
  }

  Status jump_statement(Statement& out) {
    const bool is_break = tokens_[at_ - 1].text == "break";
    out.kind = is_break ? Statement::Kind::kBreak : Statement::Kind::kContinue;
    if (loops_ == 0)
      return error(ErrorCode::kParse, std::string(is_break ? "'break'" : "'continue'") + " outside a loop");
    return expect_block_end();
  }

  // ---- expressions, loosest first

  // a, b, c: a list when there is a comma. `choices`: "x if y else z" is allowed.
  Result<ExprPtr> tuple(bool choices = true) {
    ExprPtr first = choices ? TRY(expression()) : TRY(or_expression());
    if (!is(",")) return first;
    ExprPtr list = make(Expr::Kind::kList);
    if (Status status = adopt(*list, std::move(first)); !status) return std::move(status).error();
    while (take(",")) {
      if (now().kind == Kind::kBlockEnd || now().kind == Kind::kPrintEnd || is(")")) break;
      if (Status status = adopt(*list, choices ? TRY(expression()) : TRY(or_expression())); !status)
        return std::move(status).error();
    }
    return list;
  }

  Result<ExprPtr> expression() {
    const Level level(depth_);
    if (Status status = check_depth(); !status) return std::move(status).error();
    ExprPtr expr = TRY(or_expression());
    while (take_name("if")) {
      ExprPtr condition = TRY(or_expression());
      ExprPtr otherwise;
      if (take_name("else")) otherwise = TRY(expression());
      ExprPtr choose = TRY(make_binary(Expr::Kind::kChoose, "if", std::move(expr), std::move(condition)));
      if (Status status = adopt(*choose, std::move(otherwise)); !status) return std::move(status).error();
      expr = std::move(choose);
    }
    return expr;
  }

  Result<ExprPtr> or_expression() {
    ExprPtr left = TRY(and_expression());
    while (take_name("or"))
      left = TRY(make_binary(Expr::Kind::kOr, "or", std::move(left), TRY(and_expression())));
    return left;
  }
  Result<ExprPtr> and_expression() {
    ExprPtr left = TRY(not_expression());
    while (take_name("and"))
      left = TRY(make_binary(Expr::Kind::kAnd, "and", std::move(left), TRY(not_expression())));
    return left;
  }
  Result<ExprPtr> not_expression() {
    const Level level(depth_);
    if (Status status = check_depth(); !status) return std::move(status).error();
    if (!take_name("not")) return compare();
    ExprPtr expr = make(Expr::Kind::kNot);
    if (Status status = adopt(*expr, TRY(not_expression())); !status) return std::move(status).error();
    return expr;
  }

  std::string compare_operator() {
    for (const std::string_view op : {"==", "!=", "<=", ">=", "<", ">"})
      if (take(op)) return std::string(op);
    if (take_name("in")) return "in";
    if (is_name("not") && ahead().kind == Kind::kName && ahead().text == "in") {
      at_ += 2;
      return "not in";
    }
    return "";
  }
  Result<ExprPtr> compare() {
    ExprPtr first = TRY(sum());
    ExprPtr chain;
    for (std::string op; !(op = compare_operator()).empty();) {
      if (chain == nullptr) {
        chain = make(Expr::Kind::kCompare);
        if (Status status = adopt(*chain, std::move(first)); !status) return std::move(status).error();
      }
      chain->operators.push_back(op);
      if (Status status = adopt(*chain, TRY(sum())); !status) return std::move(status).error();
    }
    return chain != nullptr ? std::move(chain) : std::move(first);
  }

  using Operand = Result<ExprPtr> (Parser::*)();
  Result<ExprPtr> binary(std::initializer_list<std::string_view> ops, Operand operand) {
    ExprPtr left = TRY((this->*operand)());
    while (true) {
      std::string found;
      for (const std::string_view op : ops)
        if (found.empty() && take(op)) found = op;
      if (found.empty()) return left;
      left = TRY(make_binary(Expr::Kind::kBinary, found, std::move(left), TRY((this->*operand)())));
    }
  }
  Result<ExprPtr> sum() { return binary({"+", "-"}, &Parser::concat); }
  Result<ExprPtr> concat() { return binary({"~"}, &Parser::product); }
  Result<ExprPtr> product() { return binary({"*", "//", "/", "%"}, &Parser::power); }
  Result<ExprPtr> power() { return binary({"**"}, &Parser::unary); }

  Result<ExprPtr> unary() { return unary_with(true); }
  Result<ExprPtr> unary_with(bool filters) {
    const Level level(depth_);
    if (Status status = check_depth(); !status) return std::move(status).error();
    ExprPtr expr;
    if (is("-") || is("+")) {
      expr = make(is("-") ? Expr::Kind::kNegate : Expr::Kind::kPlus);
      ++at_;
      if (Status status = adopt(*expr, TRY(unary_with(false))); !status) return std::move(status).error();
    } else {
      expr = TRY(postfix(TRY(primary())));
    }
    return filters ? filtered(std::move(expr)) : std::move(expr);
  }

  Result<ExprPtr> primary() {
    const Token& token = now();
    ExprPtr expr = make(Expr::Kind::kConstant);
    switch (token.kind) {
      case Kind::kString:
        for (expr->value = Value::of(token.text), ++at_; now().kind == Kind::kString; ++at_)
          expr->value = Value::of(*expr->value.text() + now().text);
        return expr;
      case Kind::kInt: {
        int64_t number = 0;
        const auto [end, bad] =
            std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
        if (bad != std::errc()) return error(ErrorCode::kLimit, "number " + token.text + " is too large");
        expr->value = Value::of(number);
        ++at_;
        return expr;
      }
      case Kind::kFloat:
        expr->value = Value::of(std::strtod(token.text.c_str(), nullptr));
        ++at_;
        return expr;
      case Kind::kName:
        return named();
      default:
        break;
    }
    if (take("(")) {
      if (take(")")) {
        expr->kind = Expr::Kind::kList;
        return expr;
      }
      expr = TRY(tuple());
      if (Status status = expect(")"); !status) return std::move(status).error();
      return expr;
    }
    if (take("[")) return list_literal();
    if (take("{")) return dict_literal();
    return expected("an expression");
  }

  Result<ExprPtr> named() {
    ExprPtr expr = make(Expr::Kind::kConstant);
    const std::string name = tokens_[at_++].text;
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

  Result<ExprPtr> list_literal() {
    ExprPtr list = make(Expr::Kind::kList);
    while (!take("]")) {
      if (!list->args.empty())
        if (Status status = expect(","); !status) return std::move(status).error();
      if (take("]")) break;
      if (Status status = adopt(*list, TRY(expression())); !status) return std::move(status).error();
    }
    return list;
  }
  Result<ExprPtr> dict_literal() {
    ExprPtr dict = make(Expr::Kind::kDict);
    while (!take("}")) {
      if (!dict->args.empty())
        if (Status status = expect(","); !status) return std::move(status).error();
      if (take("}")) break;
      if (Status status = adopt(*dict, TRY(expression())); !status) return std::move(status).error();
      if (Status status = expect(":"); !status) return std::move(status).error();
      if (Status status = adopt(*dict, TRY(expression())); !status) return std::move(status).error();
    }
    return dict;
  }

  Result<ExprPtr> postfix(ExprPtr expr) {
    while (true) {
      if (take(".")) {
        ExprPtr next = make(Expr::Kind::kAttribute);
        if (now().kind == Kind::kInt) {  // x.0
          next->kind = Expr::Kind::kItem;
          if (Status status = adopt(*next, std::move(expr)); !status) return std::move(status).error();
          if (Status status = adopt(*next, TRY(primary())); !status) return std::move(status).error();
        } else {
          next->name = TRY(expect_name());
          if (Status status = adopt(*next, std::move(expr)); !status) return std::move(status).error();
        }
        expr = std::move(next);
      } else if (take("[")) {
        expr = TRY(subscript(std::move(expr)));
      } else if (is("(")) {
        expr = TRY(call(std::move(expr)));
      } else {
        return expr;
      }
    }
  }

  Result<ExprPtr> subscript(ExprPtr of) {
    ExprPtr expr = make(Expr::Kind::kItem);
    if (Status status = adopt(*expr, std::move(of)); !status) return std::move(status).error();
    ExprPtr part;
    if (!is(":")) part = TRY(expression());
    if (!is(":")) {
      if (Status status = adopt(*expr, std::move(part)); !status) return std::move(status).error();
      if (Status status = expect("]"); !status) return std::move(status).error();
      return expr;
    }
    expr->kind = Expr::Kind::kSlice;
    if (Status status = adopt(*expr, std::move(part)); !status) return std::move(status).error();
    for (int i = 0; i < 2; ++i) {
      ExprPtr bound;
      if (take(":") && !is(":") && !is("]")) bound = TRY(expression());
      if (Status status = adopt(*expr, std::move(bound)); !status) return std::move(status).error();
    }
    if (Status status = expect("]"); !status) return std::move(status).error();
    return expr;
  }

  Result<ExprPtr> call(ExprPtr function) {
    ExprPtr expr = make(Expr::Kind::kCall);
    if (Status status = adopt(*expr, std::move(function)); !status) return std::move(status).error();
    if (Status status = arguments(*expr); !status) return std::move(status).error();
    return expr;
  }

  // "(" a, b, name=c ")" onto `expr`.
  Status arguments(Expr& expr) {
    if (Status status = expect("("); !status) return status;
    for (bool first = true; !take(")"); first = false) {
      if (!first)
        if (Status status = expect(","); !status) return status;
      if (take(")")) break;
      if (is("*") || is("**"))
        return error(ErrorCode::kUnsupported, "arguments unpacked with '*' are not supported");
      if (now().kind == Kind::kName && ahead().kind == Kind::kOperator && ahead().text == "=") {
        std::string name = now().text;
        at_ += 2;
        ExprPtr value = TRY(expression());
        expr.depth = std::max(expr.depth, value->depth + 1);
        expr.keywords.emplace_back(std::move(name), std::move(value));
        continue;
      }
      if (!expr.keywords.empty()) return expected("a keyword argument");
      if (Status status = adopt(expr, TRY(expression())); !status) return status;
    }
    return {};
  }

  Result<ExprPtr> filtered(ExprPtr expr) {
    while (true) {
      if (take("|")) {
        expr = TRY(filter_after_bar(std::move(expr)));
      } else if (take_name("is")) {
        expr = TRY(test_after_is(std::move(expr)));
      } else if (is("(")) {
        expr = TRY(call(std::move(expr)));
      } else {
        return expr;
      }
    }
  }

  Result<ExprPtr> filter_after_bar(ExprPtr on) {
    ExprPtr expr = make(Expr::Kind::kFilter);
    expr->name = TRY(expect_name());
    if (!has_filter(expr->name))
      return error(ErrorCode::kUnsupported, "filter '" + expr->name + "' is not supported");
    if (Status status = adopt(*expr, std::move(on)); !status) return std::move(status).error();
    if (is("("))
      if (Status status = arguments(*expr); !status) return std::move(status).error();
    return expr;
  }

  Result<ExprPtr> test_after_is(ExprPtr on) {
    const bool negated = take_name("not");
    ExprPtr expr = make(Expr::Kind::kTest);
    expr->name = TRY(expect_name());
    if (!has_test(expr->name))
      return error(ErrorCode::kUnsupported, "test '" + expr->name + "' is not supported");
    if (Status status = adopt(*expr, std::move(on)); !status) return std::move(status).error();
    const auto ends = [this] {
      for (const std::string_view name : {"else", "or", "and", "if", "is", "in", "not"})
        if (is_name(name)) return true;
      return false;
    };
    if (is("(")) {
      if (Status status = arguments(*expr); !status) return std::move(status).error();
    } else if (now().kind == Kind::kString || now().kind == Kind::kInt || now().kind == Kind::kFloat ||
               is("[") || is("{") || (now().kind == Kind::kName && !ends())) {
      if (Status status = adopt(*expr, TRY(postfix(TRY(primary())))); !status)
        return std::move(status).error();
    }
    if (!negated) return expr;
    ExprPtr inverse = make(Expr::Kind::kNot);
    if (Status status = adopt(*inverse, std::move(expr)); !status) return std::move(status).error();
    return inverse;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;
};

}  // namespace

Result<Body> parse_template(std::string_view source) {
  if (source.size() > kMaxSourceBytes)
    return fail(ErrorCode::kLimit, "expected a template of at most {} bytes, got {}", kMaxSourceBytes,
                source.size());
  return Parser(TRY(tokenize(source))).run();
}

}  // namespace volant::jinja
