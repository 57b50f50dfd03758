// The evaluator of templates as its files share it: jinja_evaluator.cc holds limits and names,
// jinja_run_statements.cc what statements do, jinja_run_expressions.cc what expressions are worth.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "text/jinja_builtins.h"
#include "text/jinja_evaluator.h"

namespace volant::jinja {

enum class Flow { kOn, kBreak, kContinue };

class Evaluator {
 public:
  Evaluator(const Dict& variables, Marks* marks) : marks_(marks) { scopes_.push_back({variables, 0}); }
  Result<std::string> run(const Body& body);

 private:
  // ---- limits

  Status charge(int64_t work);
  Status write(std::string& out, std::string_view text);

  // ---- names

  // Names, and the index of the scope that is looked into after this one.
  struct Names {
    Dict values;
    size_t outer = 0;
  };
  struct Scope {
    explicit Scope(std::vector<Names>& s) : Scope(s, s.size() - 1) {}
    Scope(std::vector<Names>& s, size_t outer) : scopes(s) { scopes.push_back({{}, outer}); }
    ~Scope() { scopes.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    std::vector<Names>& scopes;
  };
  Value lookup(const std::string& name) const;
  Status assign_all(const std::vector<std::string>& names, const Value& value);
  void assign(const std::string& name, Value value);

  // ---- statements

  Status run_body(const Body& body, std::string& out, Flow& flow);
  Status run_one(const Statement& s, std::string& out, Flow& flow);
  Status run_generation(const Statement& s, std::string& out, Flow& flow);
  Result<Value> filter_text(const Statement& s, std::string text);
  Status run_set(const Statement& s);
  Status run_for(const Statement& s, std::string& out, Flow& outer);
  Status run_items(const Statement& s, List items, std::string& out, Flow& outer);
  // loop(items) inside a recursive loop: the same loop over them.
  Result<Value> call_loop(const Arguments& arguments);
  // The methods of `loop`; nothing when it has no such method.
  Result<std::optional<Value>> call_loop_method(const Value& loop, const std::string& name,
                                                const Arguments& arguments);
  Value loop_value(const List& items, size_t i) const;

  // ---- expressions

  Result<Value> eval(const Expr& e);
  Result<Value> eval_inner(const Expr& e);
  Result<Value> eval_name(const std::string& name);
  Result<Value> eval_dict(const Expr& e);
  Result<Value> eval_sign(const char* sign, const Expr& e);
  // a < b < c: true when every neighbour pair holds; what follows a false one is not evaluated.
  Result<Value> eval_compare(const Expr& e);
  Result<Value> eval_slice(const Expr& e);
  // The arguments of a call, filter or test: args[1..] and keywords.
  Result<Arguments> eval_arguments(const Expr& e);
  Result<Value> eval_call(const Expr& e);
  Result<Value> call(const Value& function, const Arguments& arguments, const Value* caller);
  // A macro sees its own names and the template's, the body of a call block those around it.
  Result<Value> call_macro(const Function& function, const Arguments& arguments, const Value* caller);
  Result<Value> run_macro(const Macro& macro, const Arguments& arguments, const Value* caller);

  std::vector<Names> scopes_;  // innermost last
  int in_macro_ = 0;
  struct Loop {
    const Statement* statement;
    std::optional<Value> last;  // what loop.changed() was given
  };
  std::vector<Loop> loops_;  // that are running, innermost last
  int loop_depth_ = 0;
  Marks* marks_ = nullptr;
  const std::string* root_ = nullptr;  // the text of the template itself
  bool in_generation_ = false;
  int depth_ = 0;
  int64_t steps_ = 0, work_ = 0;
  size_t written_ = 0;
};

// The error with its line, unless it has one.
Error at_line(Error error, int line);

}  // namespace volant::jinja
