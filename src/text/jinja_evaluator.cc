#include "text/jinja_evaluator.h"

#include <algorithm>
#include <optional>

#include "text/jinja_builtins.h"
#include "text/jinja_nesting.h"
#include "text/jinja_operators.h"

namespace volant::jinja {
namespace {

constexpr int64_t kMaxSteps = 1'000'000;  // expressions and statements run
constexpr int64_t kMaxWork = 1LL << 30;   // bytes and items looked at
constexpr size_t kMaxOutputBytes = 64U << 20;
constexpr int kMaxNesting = 200;  // of lists and dictionaries within each other
constexpr int kMaxDepth = 400;    // of statements, expressions and macros within each other

enum class Flow { kOn, kBreak, kContinue };

// str(value) can be long: how long to look at it.
int64_t weight(const Value& value) {
  if (value.text()) return static_cast<int64_t>(value.text()->size());
  if (value.list()) return 8 * static_cast<int64_t>(value.list()->size());
  if (value.dict()) return 16 * static_cast<int64_t>(value.dict()->size());
  return 1;
}

class Evaluator {
 public:
  Evaluator(const Dict& variables, Marks* marks) : marks_(marks) { scopes_.push_back({variables, 0}); }

  Result<std::string> run(const Body& body) {
    std::string out;
    root_ = &out;
    Flow flow = Flow::kOn;
    TRY(run_body(body, out, flow));
    return out;
  }

 private:
  // ---- limits

  Status charge(int64_t work) {
    work_ += work;
    if (++steps_ > kMaxSteps || work_ > kMaxWork)
      return fail(ErrorCode::kLimit, "the template does too much work; it was stopped");
    if (depth_ > kMaxDepth) return fail(ErrorCode::kLimit, "the template nests too deep");
    return {};
  }
  Status write(std::string& out, std::string_view text) {
    written_ += text.size();
    if (written_ > kMaxOutputBytes)
      return fail(ErrorCode::kLimit, "the template writes more than {} bytes", kMaxOutputBytes);
    out.append(text);
    return {};
  }
  static Error at_line(Error error, int line) {
    if (!error.message.starts_with("line ")) error.message = fmt::format("line {}: {}", line, error.message);
    return error;
  }

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
  Value lookup(const std::string& name) const {
    const Value key = Value::of(name);
    for (size_t i = scopes_.size() - 1;; i = scopes_[i].outer) {
      if (const Value* found = find(scopes_[i].values, key)) return *found;
      if (i == 0) break;
    }
    if (has_function(name)) return Value(Value::Data(Function{nullptr, name, 0}));
    return Value::undefined(name);
  }
  void assign(const std::string& name, Value value) {
    put(scopes_.back().values, Value::of(name), std::move(value));
  }

  Status assign_all(const std::vector<std::string>& names, const Value& value) {
    if (names.size() == 1) {
      assign(names[0], value);
      return {};
    }
    const List items = TRY(items_of(value));
    if (items.size() != names.size())
      return fail(ErrorCode::kInvalidArgument, "expected {} values to unpack, got {}", names.size(),
                  items.size());
    for (size_t i = 0; i < names.size(); ++i) assign(names[i], items[i]);
    return {};
  }

  // ---- statements

  Status run_body(const Body& body, std::string& out, Flow& flow) {
    const Level level(depth_);
    for (const auto& statement : body) {
      Status status = charge(1);
      if (status) status = run_one(*statement, out, flow);
      if (!status) return at_line(std::move(status).error(), statement->line);
      if (flow != Flow::kOn) break;
    }
    return {};
  }

  Status run_one(const Statement& s, std::string& out, Flow& flow) {
    switch (s.kind) {
      case Statement::Kind::kText:
        return write(out, s.name);
      case Statement::Kind::kPrint:
        return write(out, TRY(eval(*s.expr)).print());
      case Statement::Kind::kIf:
        for (const auto& [condition, body] : s.branches)
          if (condition == nullptr || TRY(eval(*condition)).truth()) return run_body(body, out, flow);
        return {};
      case Statement::Kind::kFor:
        return run_for(s, out, flow);
      case Statement::Kind::kSet:
        return run_set(s);
      case Statement::Kind::kSetBlock: {
        std::string text;
        TRY(run_body(s.body, text, flow));
        assign(s.names[0], TRY(filter_text(s, std::move(text))));
        return {};
      }
      case Statement::Kind::kMacro:
        assign(s.macro->name, Value(Value::Data(Function{s.macro.get(), "", 0})));
        return {};
      case Statement::Kind::kCallBlock: {
        Arguments arguments = TRY(eval_arguments(*s.expr));
        const Value function = TRY(eval(*s.expr->args[0]));
        const Value caller(Value::Data(Function{s.macro.get(), "", scopes_.size() - 1}));
        return write(out, TRY(call(function, arguments, &caller)).print());
      }
      case Statement::Kind::kFilterBlock: {
        std::string text;
        const Scope scope(scopes_);
        TRY(run_body(s.body, text, flow));
        return write(out, TRY(filter_text(s, std::move(text))).print());
      }
      case Statement::Kind::kBreak:
        flow = Flow::kBreak;
        return {};
      case Statement::Kind::kContinue:
        flow = Flow::kContinue;
        return {};
      case Statement::Kind::kScope: {
        std::vector<Value> values;
        for (const ExprPtr& expr : s.values) values.push_back(TRY(eval(*expr)));
        const Scope scope(scopes_);
        for (size_t i = 0; i < values.size(); ++i) assign(s.names[i], values[i]);
        return run_body(s.body, out, flow);
      }
      case Statement::Kind::kGeneration:
        return run_generation(s, out, flow);
    }
    return {};
  }

  Status run_generation(const Statement& s, std::string& out, Flow& flow) {
    if (marks_ == nullptr) return run_body(s.body, out, flow);
    if (&out != root_ || in_generation_)
      return fail(ErrorCode::kUnsupported,
                  "statement 'generation' is not supported inside a macro, a set, filter or call block or "
                  "another 'generation'");
    const size_t begin = out.size();
    in_generation_ = true;
    Status status = run_body(s.body, out, flow);
    in_generation_ = false;
    marks_->emplace_back(begin, out.size());
    return status;
  }

  Result<Value> filter_text(const Statement& s, std::string text) {
    Value value = TRY(text_value(std::move(text)));
    for (const ExprPtr& filter : s.values)
      value = TRY(apply_filter(filter->name, value, TRY(eval_arguments(*filter))));
    return value;
  }

  Status run_set(const Statement& s) {
    const Value value = TRY(eval(*s.expr));
    if (s.name.empty()) return assign_all(s.names, value);
    const Value target = lookup(s.names[0]);
    if (target.names() == nullptr)
      return fail(ErrorCode::kInvalidArgument, "'{}' is no namespace, so '{}.{}' cannot be set", s.names[0],
                  s.names[0], s.name);
    return set_name(*target.names(), Value::of(s.name), value);
  }

  Status run_for(const Statement& s, std::string& out, Flow& outer) {
    return run_items(s, TRY(items_of(TRY(eval(*s.expr)))), out, outer);
  }

  Status run_items(const Statement& s, List items, std::string& out, Flow& outer) {
    TRY(charge(static_cast<int64_t>(items.size())));
    if (s.condition != nullptr) {
      List kept;
      for (const Value& item : items) {
        const Scope scope(scopes_);
        TRY(assign_all(s.names, item));
        if (TRY(eval(*s.condition)).truth()) kept.push_back(item);
      }
      items = std::move(kept);
    }
    if (items.empty()) {
      const Scope scope(scopes_);
      return run_body(s.otherwise, out, outer);
    }
    ++loop_depth_;
    loops_.push_back({&s, {}});
    Status status;
    for (size_t i = 0; i < items.size() && status; ++i) {
      const Scope scope(scopes_);
      assign("loop", loop_value(items, i));
      status = assign_all(s.names, items[i]);
      Flow flow = Flow::kOn;
      if (status) status = run_body(s.body, out, flow);
      if (flow == Flow::kBreak) break;
    }
    loops_.pop_back();
    --loop_depth_;
    return status;
  }

  // loop(items) inside a recursive loop: the same loop over them.
  Result<Value> call_loop(const Arguments& arguments) {
    if (loops_.empty() || !loops_.back().statement->recursive)
      return fail(ErrorCode::kInvalidArgument, "'loop' can be called in a 'for ... recursive' only");
    if (arguments.values.size() != 1 || !arguments.keywords.empty())
      return fail(ErrorCode::kInvalidArgument, "loop: expected one argument");
    const Level level(depth_);
    TRY(charge(1));
    std::string out;
    Flow flow = Flow::kOn;
    TRY(run_items(*loops_.back().statement, TRY(items_of(arguments.values[0])), out, flow));
    return text_value(std::move(out));
  }

  // The methods of `loop`; nothing when it has no such method.
  Result<std::optional<Value>> call_loop_method(const Value& loop, const std::string& name,
                                                const Arguments& arguments) {
    if (name == "cycle") {
      if (arguments.values.empty()) return fail(ErrorCode::kInvalidArgument, "loop.cycle: expected values");
      const auto index = static_cast<size_t>(TRY(get_attribute(loop, "index0")).as_int());
      return std::optional(arguments.values[index % arguments.values.size()]);
    }
    if (name != "changed" || loops_.empty()) return std::optional<Value>();
    const Value now = Value::tuple(arguments.values);
    const bool changed = !loops_.back().last || !(*loops_.back().last == now);
    loops_.back().last = now;
    return std::optional(Value::of(changed));
  }

  Value loop_value(const List& items, size_t i) const {
    const auto n = static_cast<int64_t>(items.size()), at = static_cast<int64_t>(i);
    Dict loop;
    const auto add = [&loop](const char* name, Value value) {
      loop.emplace_back(Value::of(std::string(name)), std::move(value));
    };
    add("index", Value::of(at + 1));
    add("index0", Value::of(at));
    add("first", Value::of(i == 0));
    add("last", Value::of(at + 1 == n));
    add("length", Value::of(n));
    add("revindex", Value::of(n - at));
    add("revindex0", Value::of(n - at - 1));
    add("previtem", i == 0 ? Value::undefined("previtem") : items[i - 1]);
    add("nextitem", at + 1 == n ? Value::undefined("nextitem") : items[i + 1]);
    add("depth", Value::of(int64_t{loop_depth_}));
    add("depth0", Value::of(int64_t{loop_depth_ - 1}));
    return Value::of(std::move(loop));
  }

  // ---- expressions

  Result<Value> eval(const Expr& e) {
    const Level level(depth_);
    TRY(charge(1));
    Result<Value> value = eval_inner(e);
    if (value && value->nesting() > kMaxNesting) value = fail(ErrorCode::kLimit, "a value nests too deep");
    if (!value) return at_line(std::move(value).error(), e.line);
    return value;
  }

  Result<Value> eval_inner(const Expr& e) {
    switch (e.kind) {
      case Expr::Kind::kConstant:
        return e.value;
      case Expr::Kind::kName:
        return eval_name(e.name);
      case Expr::Kind::kList: {
        List list;
        for (const ExprPtr& item : e.args) list.push_back(TRY(eval(*item)));
        return e.name == "tuple" ? Value::tuple(std::move(list)) : Value::of(std::move(list));
      }
      case Expr::Kind::kDict:
        return eval_dict(e);
      case Expr::Kind::kAttribute:
        return get_attribute(TRY(eval(*e.args[0])), e.name);
      case Expr::Kind::kItem: {
        const Value on = TRY(eval(*e.args[0]));
        return get_item(on, TRY(eval(*e.args[1])));
      }
      case Expr::Kind::kSlice:
        return eval_slice(e);
      case Expr::Kind::kCall:
        return eval_call(e);
      case Expr::Kind::kFilter: {
        const Value on = TRY(eval(*e.args[0]));
        const Arguments arguments = TRY(eval_arguments(e));
        TRY(charge(weight(on)));
        return apply_filter(e.name, on, arguments);
      }
      case Expr::Kind::kTest: {
        const Value on = TRY(eval(*e.args[0]));
        return Value::of(TRY(apply_test(e.name, on, TRY(eval_arguments(e)))));
      }
      case Expr::Kind::kNot:
        return Value::of(!TRY(eval(*e.args[0])).truth());
      case Expr::Kind::kNegate:
        return eval_sign("-", e);
      case Expr::Kind::kPlus:
        return eval_sign("+", e);
      case Expr::Kind::kAnd: {
        Value left = TRY(eval(*e.args[0]));
        return left.truth() ? eval(*e.args[1]) : std::move(left);
      }
      case Expr::Kind::kOr: {
        Value left = TRY(eval(*e.args[0]));
        return left.truth() ? std::move(left) : eval(*e.args[1]);
      }
      case Expr::Kind::kBinary: {
        const Value left = TRY(eval(*e.args[0]));
        const Value right = TRY(eval(*e.args[1]));
        TRY(charge(weight(left) + weight(right)));
        return binary(e.name, left, right);
      }
      case Expr::Kind::kCompare:
        return eval_compare(e);
      case Expr::Kind::kChoose:
        if (TRY(eval(*e.args[1])).truth()) return eval(*e.args[0]);
        return e.args[2] == nullptr ? Value::undefined("the value of an 'if' without 'else'")
                                    : eval(*e.args[2]);
    }
    return Value();
  }

  Result<Value> eval_name(const std::string& name) {
    Value value = lookup(name);
    if (value.is_undefined() && in_macro_ > 0 && (name == "varargs" || name == "kwargs"))
      return fail(ErrorCode::kUnsupported, "'{}' of a macro is not supported", name);
    return value;
  }

  Result<Value> eval_dict(const Expr& e) {
    Dict dict;
    for (size_t i = 0; i < e.args.size(); i += 2) {
      Value key = TRY(eval(*e.args[i]));
      put(dict, std::move(key), TRY(eval(*e.args[i + 1])));
    }
    return Value::of(std::move(dict));
  }

  Result<Value> eval_sign(const char* sign, const Expr& e) {
    const Value value = TRY(eval(*e.args[0]));
    if (!value.is_number())
      return fail(ErrorCode::kInvalidArgument, "a sign before a value of type {}", value.type_name());
    return binary(sign, Value::of(int64_t{0}), value);
  }

  // a < b < c: true when every neighbour pair holds; what follows a false one is not evaluated.
  Result<Value> eval_compare(const Expr& e) {
    Value left = TRY(eval(*e.args[0]));
    for (size_t i = 0; i < e.operators.size(); ++i) {
      Value right = TRY(eval(*e.args[i + 1]));
      TRY(charge(weight(left) + weight(right)));
      if (!TRY(compare(e.operators[i], left, right))) return Value::of(false);
      left = std::move(right);
    }
    return Value::of(true);
  }

  Result<Value> eval_slice(const Expr& e) {
    const Value on = TRY(eval(*e.args[0]));
    Value bounds[3] = {Value::none(), Value::none(), Value::none()};
    for (size_t i = 0; i < 3; ++i)
      if (e.args[i + 1] != nullptr) bounds[i] = TRY(eval(*e.args[i + 1]));
    if (on.is_undefined() || !(on.list() || on.text()))
      return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be sliced", on.type_name());
    const List items = TRY(items_of(on));
    TRY(charge(static_cast<int64_t>(items.size())));
    List out;
    for (const size_t i :
         TRY(slice_indices(static_cast<int64_t>(items.size()), bounds[0], bounds[1], bounds[2])))
      out.push_back(items[i]);
    if (on.list()) return on.is_tuple() ? Value::tuple(std::move(out)) : Value::of(std::move(out));
    std::string text;
    for (const Value& part : out) text += *part.text();
    return Value::of(std::move(text));
  }

  // The arguments of a call, filter or test: args[1..] and keywords.
  Result<Arguments> eval_arguments(const Expr& e) {
    Arguments arguments;
    for (size_t i = 1; i < e.args.size(); ++i) arguments.values.push_back(TRY(eval(*e.args[i])));
    for (const auto& [name, expr] : e.keywords) arguments.keywords.emplace_back(name, TRY(eval(*expr)));
    return arguments;
  }

  Result<Value> eval_call(const Expr& e) {
    const Expr& target = *e.args[0];
    if (target.kind == Expr::Kind::kName && target.name == "loop" && !loops_.empty())
      return call_loop(TRY(eval_arguments(e)));
    if (target.kind != Expr::Kind::kAttribute) {
      const Value function = TRY(eval(target));
      return call(function, TRY(eval_arguments(e)), nullptr);
    }
    const Value on = TRY(eval(*target.args[0]));
    const Arguments arguments = TRY(eval_arguments(e));
    TRY(charge(weight(on)));
    const bool is_loop = target.args[0]->kind == Expr::Kind::kName && target.args[0]->name == "loop";
    if (is_loop)
      if (std::optional<Value> got = TRY(call_loop_method(on, target.name, arguments))) return *got;
    if (const Value held = on.is_undefined() ? Value() : TRY(get_attribute(on, target.name));
        held.get<Function>())
      return call(held, arguments, nullptr);
    return call_method(on, target.name, arguments);
  }

  Result<Value> call(const Value& function, const Arguments& arguments, const Value* caller) {
    const auto* f = function.get<Function>();
    if (f == nullptr) {
      if (const auto* undefined = function.get<Undefined>())
        return fail(ErrorCode::kInvalidArgument, "'{}' is undefined, so it cannot be called",
                    undefined->name);
      return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be called", function.type_name());
    }
    return f->macro != nullptr ? call_macro(*f, arguments, caller) : call_function(f->builtin, arguments);
  }

  // A macro sees its own names and the template's, the body of a call block those around it.
  Result<Value> call_macro(const Function& function, const Arguments& arguments, const Value* caller) {
    const Macro& macro = *function.macro;
    if (arguments.values.size() > macro.parameters.size())
      return fail(ErrorCode::kInvalidArgument, "macro '{}' takes at most {} arguments, got {}", macro.name,
                  macro.parameters.size(), arguments.values.size());
    for (const auto& keyword : arguments.keywords) {
      const std::string& name = keyword.first;
      const bool known = std::any_of(macro.parameters.begin(), macro.parameters.end(),
                                     [&name](const auto& parameter) { return parameter.first == name; });
      if (!known)
        return fail(ErrorCode::kInvalidArgument, "macro '{}' has no parameter '{}'", macro.name, name);
    }
    const Scope scope(scopes_, function.scope);
    const Level level(in_macro_);
    return run_macro(macro, arguments, caller);
  }

  Result<Value> run_macro(const Macro& macro, const Arguments& arguments, const Value* caller) {
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      const auto& [name, otherwise] = macro.parameters[i];
      const Value* given = arguments.find(i, name);
      if (given != nullptr)
        assign(name, *given);
      else
        assign(name, otherwise != nullptr ? TRY(eval(*otherwise)) : Value::undefined(name));
    }
    if (caller != nullptr) assign("caller", *caller);
    std::string out;
    Flow flow = Flow::kOn;
    TRY(run_body(macro.body, out, flow));
    return text_value(std::move(out));
  }

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

}  // namespace

Result<std::string> render(const Body& body, const Dict& variables, Marks* marks) {
  return Evaluator(variables, marks).run(body);
}

}  // namespace volant::jinja
