#include "text/jinja_operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja_builtins.h"

namespace volant::jinja {
namespace {

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

Result<Value> repeated_list(const Value& list, int64_t n) {
  const List& items = *list.list();
  const size_t times = n < 0 ? 0 : static_cast<size_t>(n);
  if (!items.empty() && times > kMaxListItems / items.size())
    return fail(ErrorCode::kLimit, "a list of more than {} items", kMaxListItems);
  List out;
  if (!items.empty())
    for (size_t i = 0; i < times; ++i) out.insert(out.end(), items.begin(), items.end());
  return list.is_tuple() ? Value::tuple(std::move(out)) : Value::of(std::move(out));
}

Result<Value> repeated(const std::string& text, int64_t n) {
  if (n <= 0 || text.empty()) return Value::of(std::string());
  if (static_cast<uint64_t>(n) > kMaxTextBytes / text.size())
    return fail(ErrorCode::kLimit, "a text of more than {} bytes", kMaxTextBytes);
  std::string out;
  for (int64_t i = 0; i < n; ++i) out += text;
  return Value::of(std::move(out));
}

}  // namespace

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
  if (op == "*" && a.list() && b.is_integer()) return repeated_list(a, b.as_int());
  if (op == "*" && b.list() && a.is_integer()) return repeated_list(b, a.as_int());
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

}  // namespace volant::jinja
