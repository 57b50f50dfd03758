#include "text/jinja_evaluator.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "text/jinja_builtins.h"
#include "text/unicode.h"

namespace volant::jinja {
namespace {

constexpr int64_t kMaxSteps = 1'000'000;  // expressions and statements run
constexpr int64_t kMaxWork = 1LL << 30;   // bytes and items looked at
constexpr size_t kMaxOutputBytes = 64U << 20;
constexpr int kMaxDepth = 400;  // of statements, expressions and macros within each other
constexpr int64_t kMaxRange = 100'000;

enum class Flow { kOn, kBreak, kContinue };

bool is_global_function(const std::string& name) {
  for (const char* known : {"range", "namespace", "dict", "raise_exception", "strftime_now"})
    if (name == known) return true;
  return false;
}

// str(value) can be long: how long to look at it.
int64_t weight(const Value& value) {
  if (value.text()) return static_cast<int64_t>(value.text()->size());
  if (value.list()) return 8 * static_cast<int64_t>(value.list()->size());
  if (value.dict()) return 16 * static_cast<int64_t>(value.dict()->size());
  return 1;
}

Error type_error(const std::string& op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b})
    if (const auto* undefined = value->get<Undefined>())
      return fail(ErrorCode::kInvalidArgument, "'{}' is undefined", undefined->name);
  return fail(ErrorCode::kInvalidArgument, "'{}' is not defined between {} and {}", op, a.type_name(),
              b.type_name());
}

Result<Value> integer_binary(const std::string& op, int64_t a, int64_t b) {
  int64_t out = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &out);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &out);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &out);
  } else if (op == "**") {
    if (b < 0) return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
    out = 1;
    for (int64_t i = 0; i < b && !overflow; ++i) {
      overflow = __builtin_mul_overflow(out, a, &out);
      if (i > 64 && (a == 0 || a == 1 || a == -1)) {
        if (a == -1) out = b % 2 == 0 ? 1 : -1;
        break;
      }
    }
  } else {
    if (b == 0) return fail(ErrorCode::kInvalidArgument, "division by zero");
    if (op == "/") return Value::of(static_cast<double>(a) / static_cast<double>(b));
    if (b == -1) {
      if (op == "%") return Value::of(int64_t{0});
      overflow = __builtin_sub_overflow(int64_t{0}, a, &out);
    } else {
      int64_t quotient = a / b;
      if (a % b != 0 && ((a < 0) != (b < 0))) --quotient;
      out = op == "//" ? quotient : a - quotient * b;
    }
  }
  if (overflow) return fail(ErrorCode::kLimit, "an integer does not fit into 64 bits");
  return Value::of(out);
}

Result<Value> double_binary(const std::string& op, double a, double b) {
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "**") return Value::of(std::pow(a, b));
  if (b == 0) return fail(ErrorCode::kInvalidArgument, "division by zero");
  if (op == "/") return Value::of(a / b);
  if (op == "//") return Value::of(std::floor(a / b));
  return Value::of(a - std::floor(a / b) * b);
}

Result<Value> repeated(const std::string& text, int64_t n) {
  if (n <= 0 || text.empty()) return Value::of(std::string());
  if (static_cast<uint64_t>(n) > kMaxTextBytes / text.size())
    return fail(ErrorCode::kLimit, "a text of more than {} bytes", kMaxTextBytes);
  std::string out;
  for (int64_t i = 0; i < n; ++i) out += text;
  return Value::of(std::move(out));
}

Result<Value> binary(const std::string& op, const Value& a, const Value& b) {
  if (op == "~") return text_value(a.print() + b.print());
  if (a.is_number() && b.is_number())
    return a.is_integer() && b.is_integer() ? integer_binary(op, a.as_int(), b.as_int())
                                            : double_binary(op, a.as_double(), b.as_double());
  if (op == "+" && a.text() && b.text()) return text_value(*a.text() + *b.text());
  if (op == "+" && a.list() && b.list()) {
    List list = *a.list();
    if (list.size() + b.list()->size() > kMaxListItems) return fail(ErrorCode::kLimit, "a list is too long");
    list.insert(list.end(), b.list()->begin(), b.list()->end());
    return Value::of(std::move(list));
  }
  if (op == "*" && a.text() && b.is_integer()) return repeated(*a.text(), b.as_int());
  if (op == "*" && b.text() && a.is_integer()) return repeated(*b.text(), a.as_int());
  return type_error(op, a, b);
}

Result<bool> compare(const std::string& op, const Value& a, const Value& b) {
  if (op == "==") return a == b;
  if (op == "!=") return !(a == b);
  if (op == "in") return contains(b, a);
  if (op == "not in") return !TRY(contains(b, a));
  if (a.is_undefined() || b.is_undefined()) return type_error(op, a, b);
  if (op == "<") return less(a, b);
  if (op == ">") return less(b, a);
  if (op == "<=") return !TRY(less(b, a));
  return !TRY(less(a, b));
}

// Indices of a Python slice over `size` items.
Result<std::vector<size_t>> slice_indices(int64_t size, const Value& from, const Value& to, const Value& by) {
  for (const Value* bound : {&from, &to, &by})
    if (!bound->is_none() && !bound->is_integer())
      return fail(ErrorCode::kInvalidArgument, "slice bounds must be integers, not {}", bound->type_name());
  const int64_t step = by.is_none() ? 1 : by.as_int();
  if (step == 0) return fail(ErrorCode::kInvalidArgument, "the step of a slice is 0");
  const auto bound = [&](const Value& value, int64_t otherwise) {
    if (value.is_none()) return otherwise;
    int64_t at = value.as_int();
    if (at < 0) at = at < -size ? (step < 0 ? -1 : 0) : at + size;
    return step > 0 ? std::min(at, size) : std::min(at, size - 1);
  };
  const int64_t begin = bound(from, step > 0 ? 0 : size - 1);
  const int64_t end = bound(to, step > 0 ? size : -1);
  std::vector<size_t> out;
  for (int64_t at = begin; step > 0 ? at < end : at > end;) {
    out.push_back(static_cast<size_t>(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return out;
}

class Evaluator {
 public:
  explicit Evaluator(const Dict& variables) { scopes_.push_back(variables); }

  Result<std::string> run(const Body& body) {
    std::string out;
    Flow flow = Flow::kOn;
    if (Status status = run_body(body, out, flow); !status) return std::move(status).error();
    return out;
  }

 private:
  // ---- limits

  struct Level {
    explicit Level(int& d) : depth(d) { ++depth; }
    ~Level() { --depth; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int& depth;
  };
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

  struct Scope {
    explicit Scope(std::vector<Dict>& s) : scopes(s) { scopes.emplace_back(); }
    ~Scope() { scopes.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    std::vector<Dict>& scopes;
  };
  Value lookup(const std::string& name) const {
    const Value key = Value::of(name);
    for (size_t i = scopes_.size(); i-- > 0;) {
      if (const Value* found = find(scopes_[i], key)) return *found;
      if (i == hidden_below_ && i > 0) i = 1;  // a macro sees its own names and the template's
    }
    if (is_global_function(name)) return Value(Value::Data(Function{nullptr, name}));
    return Value::undefined(name);
  }
  void assign(const std::string& name, Value value) {
    put(scopes_.back(), Value::of(name), std::move(value));
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
        if (Status status = run_body(s.body, text, flow); !status) return status;
        assign(s.names[0], TRY(filter_text(s, std::move(text))));
        return {};
      }
      case Statement::Kind::kMacro:
        assign(s.macro->name, Value(Value::Data(Function{s.macro.get(), ""})));
        return {};
      case Statement::Kind::kCallBlock: {
        Arguments arguments = TRY(eval_arguments(*s.expr));
        const Value function = TRY(eval(*s.expr->args[0]));
        const Value caller(Value::Data(Function{s.macro.get(), ""}));
        return write(out, TRY(call(function, arguments, &caller)).print());
      }
      case Statement::Kind::kFilterBlock: {
        std::string text;
        const Scope scope(scopes_);
        if (Status status = run_body(s.body, text, flow); !status) return status;
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
      case Statement::Kind::kBody:
        return run_body(s.body, out, flow);
    }
    return {};
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
    put(target.names()->values, Value::of(s.name), value);
    return {};
  }

  Status run_for(const Statement& s, std::string& out, Flow& outer) {
    List items = TRY(items_of(TRY(eval(*s.expr))));
    if (Status status = charge(static_cast<int64_t>(items.size())); !status) return status;
    if (s.condition != nullptr) {
      List kept;
      for (const Value& item : items) {
        const Scope scope(scopes_);
        if (Status status = assign_all(s.names, item); !status) return status;
        if (TRY(eval(*s.condition)).truth()) kept.push_back(item);
      }
      items = std::move(kept);
    }
    if (items.empty()) {
      const Scope scope(scopes_);
      return run_body(s.otherwise, out, outer);
    }
    ++loop_depth_;
    Status status;
    for (size_t i = 0; i < items.size() && status; ++i) {
      const Scope scope(scopes_);
      assign("loop", loop_value(items, i));
      status = assign_all(s.names, items[i]);
      Flow flow = Flow::kOn;
      if (status) status = run_body(s.body, out, flow);
      if (flow == Flow::kBreak) break;
    }
    --loop_depth_;
    return status;
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
    if (Status status = charge(1); !status) return std::move(status).error();
    Result<Value> value = eval_inner(e);
    if (!value) return at_line(std::move(value).error(), e.line);
    return value;
  }

  Result<Value> eval_inner(const Expr& e) {
    switch (e.kind) {
      case Expr::Kind::kConstant:
        return e.value;
      case Expr::Kind::kName:
        return lookup(e.name);
      case Expr::Kind::kList: {
        List list;
        for (const ExprPtr& item : e.args) list.push_back(TRY(eval(*item)));
        return Value::of(std::move(list));
      }
      case Expr::Kind::kDict: {
        Dict dict;
        for (size_t i = 0; i < e.args.size(); i += 2) {
          Value key = TRY(eval(*e.args[i]));
          put(dict, std::move(key), TRY(eval(*e.args[i + 1])));
        }
        return Value::of(std::move(dict));
      }
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
        if (Status status = charge(weight(on)); !status) return std::move(status).error();
        return apply_filter(e.name, on, arguments);
      }
      case Expr::Kind::kTest: {
        const Value on = TRY(eval(*e.args[0]));
        return Value::of(TRY(apply_test(e.name, on, TRY(eval_arguments(e)))));
      }
      case Expr::Kind::kNot:
        return Value::of(!TRY(eval(*e.args[0])).truth());
      case Expr::Kind::kNegate:
      case Expr::Kind::kPlus: {
        const Value value = TRY(eval(*e.args[0]));
        if (!value.is_number())
          return fail(ErrorCode::kInvalidArgument, "a sign before a value of type {}", value.type_name());
        return binary(e.kind == Expr::Kind::kNegate ? "-" : "+", Value::of(int64_t{0}), value);
      }
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
        if (Status status = charge(weight(left) + weight(right)); !status) return std::move(status).error();
        return binary(e.name, left, right);
      }
      case Expr::Kind::kCompare: {
        Value left = TRY(eval(*e.args[0]));
        for (size_t i = 0; i < e.operators.size(); ++i) {
          Value right = TRY(eval(*e.args[i + 1]));
          if (Status status = charge(weight(left) + weight(right)); !status) return std::move(status).error();
          if (!TRY(compare(e.operators[i], left, right))) return Value::of(false);
          left = std::move(right);
        }
        return Value::of(true);
      }
      case Expr::Kind::kChoose:
        if (TRY(eval(*e.args[1])).truth()) return eval(*e.args[0]);
        return e.args[2] == nullptr ? Value::undefined("the value of an 'if' without 'else'")
                                    : eval(*e.args[2]);
    }
    return Value();
  }

  Result<Value> eval_slice(const Expr& e) {
    const Value on = TRY(eval(*e.args[0]));
    Value bounds[3] = {Value::none(), Value::none(), Value::none()};
    for (size_t i = 0; i < 3; ++i)
      if (e.args[i + 1] != nullptr) bounds[i] = TRY(eval(*e.args[i + 1]));
    if (on.is_undefined() || !(on.list() || on.text()))
      return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be sliced", on.type_name());
    const List items = TRY(items_of(on));
    if (Status status = charge(static_cast<int64_t>(items.size())); !status) return std::move(status).error();
    List out;
    for (const size_t i :
         TRY(slice_indices(static_cast<int64_t>(items.size()), bounds[0], bounds[1], bounds[2])))
      out.push_back(items[i]);
    if (on.list()) return Value::of(std::move(out));
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
    if (target.kind != Expr::Kind::kAttribute) {
      const Value function = TRY(eval(target));
      return call(function, TRY(eval_arguments(e)), nullptr);
    }
    const Value on = TRY(eval(*target.args[0]));
    const Arguments arguments = TRY(eval_arguments(e));
    if (Status status = charge(weight(on)); !status) return std::move(status).error();
    const bool is_loop = target.args[0]->kind == Expr::Kind::kName && target.args[0]->name == "loop";
    if (is_loop && target.name == "cycle") {
      if (arguments.values.empty()) return fail(ErrorCode::kInvalidArgument, "loop.cycle: expected values");
      const auto index = static_cast<size_t>(TRY(get_attribute(on, "index0")).as_int());
      return arguments.values[index % arguments.values.size()];
    }
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
    return f->macro != nullptr ? call_macro(*f->macro, arguments, caller)
                               : call_builtin(f->builtin, arguments);
  }

  Result<Value> call_macro(const Macro& macro, const Arguments& arguments, const Value* caller) {
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
    const bool is_caller = macro.name == "caller";  // the body of a call block sees the names around it
    const Scope scope(scopes_);
    const size_t outer_hidden = std::exchange(hidden_below_, is_caller ? hidden_below_ : scopes_.size() - 1);
    Result<Value> result = run_macro(macro, arguments, caller);
    hidden_below_ = outer_hidden;
    return result;
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
    if (Status status = run_body(macro.body, out, flow); !status) return std::move(status).error();
    return text_value(std::move(out));
  }

  Result<Value> call_builtin(const std::string& name, const Arguments& arguments) {
    if (name == "raise_exception")
      return fail(
          ErrorCode::kInvalidArgument, "{}",
          arguments.values.empty() ? "the template refuses these messages" : arguments.values[0].print());
    if (name == "range") return range(arguments);
    if (name == "strftime_now") {
      if (arguments.values.size() != 1 || !arguments.values[0].text() ||
          arguments.values[0].text()->size() > 200)
        return fail(ErrorCode::kInvalidArgument, "strftime_now: expected one format");
      const std::time_t now = std::time(nullptr);
      std::tm local{};
      localtime_r(&now, &local);
      char buffer[1024];
      const size_t size = std::strftime(buffer, sizeof(buffer), arguments.values[0].text()->c_str(), &local);
      return Value::of(std::string(buffer, size));
    }
    // namespace(...) and dict(...): one dictionary and keywords.
    Dict values;
    if (arguments.values.size() > 1 || (arguments.values.size() == 1 && !arguments.values[0].dict()))
      return fail(ErrorCode::kInvalidArgument, "{}: expected a dictionary or keyword arguments", name);
    if (!arguments.values.empty()) values = *arguments.values[0].dict();
    for (const auto& [key, value] : arguments.keywords) put(values, Value::of(key), value);
    if (name == "dict") return Value::of(std::move(values));
    auto space = std::make_shared<Namespace>();
    space->values = std::move(values);
    return Value(Value::Data(std::move(space)));
  }

  static Result<Value> range(const Arguments& arguments) {
    const auto& given = arguments.values;
    if (given.empty() || given.size() > 3 ||
        !std::all_of(given.begin(), given.end(), [](const Value& v) { return v.is_integer(); }))
      return fail(ErrorCode::kInvalidArgument, "range: expected one to three integers");
    const int64_t begin = given.size() == 1 ? 0 : given[0].as_int();
    const int64_t end = given[given.size() == 1 ? 0 : 1].as_int();
    const int64_t step = given.size() == 3 ? given[2].as_int() : 1;
    if (step == 0) return fail(ErrorCode::kInvalidArgument, "range: the step is 0");
    List list;
    for (int64_t at = begin; step > 0 ? at < end : at > end;) {
      if (static_cast<int64_t>(list.size()) >= kMaxRange)
        return fail(ErrorCode::kLimit, "range: more than {} numbers", kMaxRange);
      list.push_back(Value::of(at));
      if (__builtin_add_overflow(at, step, &at)) break;
    }
    return Value::of(std::move(list));
  }

  std::vector<Dict> scopes_;  // innermost last
  size_t hidden_below_ = 0;   // inside a macro: its scope; names between it and the template's are not seen
  int loop_depth_ = 0;
  int depth_ = 0;
  int64_t steps_ = 0, work_ = 0;
  size_t written_ = 0;
};

}  // namespace

Result<std::string> render(const Body& body, const Dict& variables) { return Evaluator(variables).run(body); }

}  // namespace volant::jinja
