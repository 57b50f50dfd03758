// What the expressions of a template are worth: names, operators, calls of functions, methods and macros.
#include <algorithm>

#include "text/jinja_evaluation.h"
#include "text/jinja_nesting.h"
#include "text/jinja_operators.h"

namespace volant::jinja {
namespace {

constexpr int kMaxNesting = 200;  // of lists and dictionaries within each other

// str(value) can be long: how long to look at it.
int64_t weight(const Value& value) {
  if (value.text()) return static_cast<int64_t>(value.text()->size());
  if (value.list()) return 8 * static_cast<int64_t>(value.list()->size());
  if (value.dict()) return 16 * static_cast<int64_t>(value.dict()->size());
  return 1;
}

}  // namespace

Result<Value> Evaluator::eval(const Expr& e) {
  const Level level(depth_);
  TRY(charge(1));
  Result<Value> value = eval_inner(e);
  if (value && value->nesting() > kMaxNesting) value = fail(ErrorCode::kLimit, "a value nests too deep");
  if (!value) return at_line(std::move(value).error(), e.line);
  return value;
}

Result<Value> Evaluator::eval_inner(const Expr& e) {
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

Result<Value> Evaluator::eval_name(const std::string& name) {
  Value value = lookup(name);
  if (value.is_undefined() && in_macro_ > 0 && (name == "varargs" || name == "kwargs"))
    return fail(ErrorCode::kUnsupported, "'{}' of a macro is not supported", name);
  return value;
}

Result<Value> Evaluator::eval_dict(const Expr& e) {
  Dict dict;
  for (size_t i = 0; i < e.args.size(); i += 2) {
    Value key = TRY(eval(*e.args[i]));
    put(dict, std::move(key), TRY(eval(*e.args[i + 1])));
  }
  return Value::of(std::move(dict));
}

Result<Value> Evaluator::eval_sign(const char* sign, const Expr& e) {
  const Value value = TRY(eval(*e.args[0]));
  if (!value.is_number())
    return fail(ErrorCode::kInvalidArgument, "a sign before a value of type {}", value.type_name());
  return binary(sign, Value::of(int64_t{0}), value);
}

Result<Value> Evaluator::eval_compare(const Expr& e) {
  Value left = TRY(eval(*e.args[0]));
  for (size_t i = 0; i < e.operators.size(); ++i) {
    Value right = TRY(eval(*e.args[i + 1]));
    TRY(charge(weight(left) + weight(right)));
    if (!TRY(compare(e.operators[i], left, right))) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

Result<Value> Evaluator::eval_slice(const Expr& e) {
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

Result<Arguments> Evaluator::eval_arguments(const Expr& e) {
  Arguments arguments;
  for (size_t i = 1; i < e.args.size(); ++i) arguments.values.push_back(TRY(eval(*e.args[i])));
  for (const auto& [name, expr] : e.keywords) arguments.keywords.emplace_back(name, TRY(eval(*expr)));
  return arguments;
}

Result<Value> Evaluator::eval_call(const Expr& e) {
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

Result<Value> Evaluator::call(const Value& function, const Arguments& arguments, const Value* caller) {
  const auto* f = function.get<Function>();
  if (f == nullptr) {
    if (const auto* undefined = function.get<Undefined>())
      return fail(ErrorCode::kInvalidArgument, "'{}' is undefined, so it cannot be called", undefined->name);
    return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be called", function.type_name());
  }
  return f->macro != nullptr ? call_macro(*f, arguments, caller) : call_function(f->builtin, arguments);
}

Result<Value> Evaluator::call_macro(const Function& function, const Arguments& arguments,
                                    const Value* caller) {
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

Result<Value> Evaluator::run_macro(const Macro& macro, const Arguments& arguments, const Value* caller) {
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

}  // namespace volant::jinja
