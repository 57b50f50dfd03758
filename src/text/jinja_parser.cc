#include "text/jinja_parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "text/jinja_expressions.h"
#include "text/jinja_nesting.h"

namespace volant::jinja {
namespace {

constexpr size_t kMaxSourceBytes = 1U << 20;

// Reads statements: the template as a whole, text and tags.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : cursor_(std::move(tokens)) {}
  Parser(const Parser&) = delete;  // expressions_ holds on to cursor_
  Parser& operator=(const Parser&) = delete;

  Result<Body> run() { return body_until({}); }

 private:
  using Kind = Token::Kind;

  // Statements up to a block tag that begins with one of `ends` (left standing at that name), or the end.
  Result<Body> body_until(std::initializer_list<std::string_view> ends) {
    const Level level(cursor_.depth());
    TRY(cursor_.check_depth());
    Body body;
    while (!cursor_.at_end()) {
      auto statement = std::make_unique<Statement>();
      statement->line = cursor_.now().line;
      if (cursor_.is(Kind::kText)) {
        statement->name = cursor_.next().text;
      } else if (cursor_.take(Kind::kPrintBegin)) {
        statement->kind = Statement::Kind::kPrint;
        statement->expr = TRY(expressions_.tuple());
        if (!cursor_.take(Kind::kPrintEnd)) return cursor_.expected("'}}'");
      } else {
        if (!cursor_.take(Kind::kBlockBegin)) return cursor_.expected("a tag");
        if (!cursor_.is(Kind::kName)) return cursor_.expected("the name of a statement");
        if (std::find(ends.begin(), ends.end(), cursor_.now().text) != ends.end()) return body;
        TRY(statement_into(*statement));
      }
      body.push_back(std::move(statement));
    }
    if (ends.size() != 0) return cursor_.expected("'" + std::string(*(ends.end() - 1)) + "'");
    return body;
  }

  // The body of a statement, and its end tag.
  Result<Body> body_and_end(std::string_view end) {
    Body body = TRY(body_until({end}));
    cursor_.next();
    TRY(cursor_.expect_block_end());
    return body;
  }

  Status statement_into(Statement& out) {
    const std::string name = cursor_.now().text;
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
         {"break", &Parser::break_statement},
         {"continue", &Parser::continue_statement}}};
    for (const auto& [known, parse] : kStatements) {
      if (known != name) continue;
      cursor_.next();
      return (this->*parse)(out);
    }
    return cursor_.error(ErrorCode::kUnsupported, "statement '" + name + "' is not supported");
  }

  Status if_statement(Statement& out) {
    out.kind = Statement::Kind::kIf;
    ExprPtr condition = TRY(expressions_.tuple());
    while (true) {
      TRY(cursor_.expect_block_end());
      Body body = TRY(body_until({"elif", "else", "endif"}));
      out.branches.emplace_back(std::move(condition), std::move(body));
      if (cursor_.take_name("elif")) {
        condition = TRY(expressions_.tuple());
        continue;
      }
      if (cursor_.take_name("else")) {
        TRY(cursor_.expect_block_end());
        Body otherwise = TRY(body_until({"endif"}));
        out.branches.emplace_back(nullptr, std::move(otherwise));
      }
      cursor_.next();  // endif
      return cursor_.expect_block_end();
    }
  }

  Status for_statement(Statement& out) {
    out.kind = Statement::Kind::kFor;
    out.names = TRY(targets());
    if (!cursor_.take_name("in")) return cursor_.expected("'in'");
    out.expr = TRY(expressions_.tuple(false));
    if (cursor_.take_name("if")) out.condition = TRY(expressions_.expression());
    out.recursive = cursor_.take_name("recursive");
    TRY(cursor_.expect_block_end());
    ++loops_;
    Result<Body> body = body_until({"else", "endfor"});
    --loops_;
    out.body = TRY(std::move(body));
    if (cursor_.take_name("else")) {
      TRY(cursor_.expect_block_end());
      out.otherwise = TRY(body_until({"endfor"}));
    }
    cursor_.next();
    return cursor_.expect_block_end();
  }

  Result<std::vector<std::string>> targets() {
    std::vector<std::string> names;
    const bool bracket = cursor_.take("(");
    do {
      if (bracket && cursor_.is(")")) break;
      if (cursor_.is("("))
        return cursor_.error(ErrorCode::kUnsupported,
                             "unpacking into names within brackets is not supported");
      names.push_back(TRY(cursor_.expect_name()));
    } while (cursor_.take(","));
    if (bracket) TRY(cursor_.expect(")"));
    return names;
  }

  Status set_statement(Statement& out) {
    out.kind = Statement::Kind::kSet;
    out.names = TRY(targets());
    if (out.names.size() == 1 && cursor_.take(".")) out.name = TRY(cursor_.expect_name());
    if (cursor_.take("=")) {
      out.expr = TRY(expressions_.tuple());
      return cursor_.expect_block_end();
    }
    if (out.names.size() != 1 || !out.name.empty()) return cursor_.expected("'='");
    out.kind = Statement::Kind::kSetBlock;
    if (cursor_.is("|")) out.values = TRY(expressions_.filter_chain(true));
    TRY(cursor_.expect_block_end());
    out.body = TRY(body_and_end("endset"));
    return {};
  }

  Result<std::vector<std::pair<std::string, ExprPtr>>> parameters() {
    std::vector<std::pair<std::string, ExprPtr>> list;
    TRY(cursor_.expect("("));
    while (!cursor_.take(")")) {
      if (!list.empty()) TRY(cursor_.expect(","));
      if (cursor_.take(")")) break;
      std::string name = TRY(cursor_.expect_name());
      ExprPtr otherwise;
      if (cursor_.take("=")) otherwise = TRY(expressions_.expression());
      list.emplace_back(std::move(name), std::move(otherwise));
    }
    return list;
  }

  Status macro_statement(Statement& out) {
    out.kind = Statement::Kind::kMacro;
    out.macro = std::make_unique<Macro>();
    out.macro->name = TRY(cursor_.expect_name());
    out.macro->parameters = TRY(parameters());
    TRY(cursor_.expect_block_end());
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
    if (cursor_.is("(")) out.macro->parameters = TRY(parameters());
    out.expr = TRY(expressions_.expression());
    if (out.expr->kind != Expr::Kind::kCall) return cursor_.expected("a call");
    TRY(cursor_.expect_block_end());
    out.macro->body = TRY(body_and_end("endcall"));
    return {};
  }

  Status filter_statement(Statement& out) {
    out.kind = Statement::Kind::kFilterBlock;
    out.values = TRY(expressions_.filter_chain(false));
    TRY(cursor_.expect_block_end());
    out.body = TRY(body_and_end("endfilter"));
    return {};
  }

  Status with_statement(Statement& out) {
    out.kind = Statement::Kind::kScope;
    while (!cursor_.is(Kind::kBlockEnd)) {
      if (!out.names.empty()) TRY(cursor_.expect(","));
      out.names.push_back(TRY(cursor_.expect_name()));
      TRY(cursor_.expect("="));
      out.values.push_back(TRY(expressions_.expression()));
    }
    TRY(cursor_.expect_block_end());
    out.body = TRY(body_and_end("endwith"));
    return {};
  }

  Status generation_statement(Statement& out) {
    out.kind = Statement::Kind::kGeneration;
    TRY(cursor_.expect_block_end());
    out.body = TRY(body_and_end("endgeneration"));
    return {};
  }

  Status break_statement(Statement& out) {
    out.kind = Statement::Kind::kBreak;
    return jump_out("'break'");
  }
  Status continue_statement(Statement& out) {
    out.kind = Statement::Kind::kContinue;
    return jump_out("'continue'");
  }
  Status jump_out(const std::string& name) {
    if (loops_ == 0) return cursor_.error(ErrorCode::kParse, name + " outside a loop");
    return cursor_.expect_block_end();
  }

  Cursor cursor_;
  ExpressionParser expressions_{cursor_};
  int loops_ = 0;  // around the statement, within its macro
};

}  // namespace

Result<Body> parse_template(std::string_view source) {
  if (source.size() > kMaxSourceBytes)
    return fail(ErrorCode::kLimit, "expected a template of at most {} bytes, got {}", kMaxSourceBytes,
                source.size());
  return Parser(TRY(tokenize(source))).run();
}

}  // namespace volant::jinja
