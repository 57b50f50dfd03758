// The tests of Jinja templates: `x is NAME`.
#include <array>
#include <cmath>

#include "text/jinja_builtins.h"
#include "text/unicode.h"

namespace volant::jinja {
namespace {

using Test = Result<bool> (*)(const Value& on, const Arguments& arguments);

Result<const Value*> operand(const Arguments& arguments) {
  if (arguments.values.size() != 1)
    return fail(ErrorCode::kInvalidArgument, "expected one argument, got {}", arguments.values.size());
  return &arguments.values[0];
}

Result<int64_t> integer(const Value& value) {
  if (!value.is_integer())
    return fail(ErrorCode::kInvalidArgument, "expected an integer, got {}", value.type_name());
  return value.as_int();
}

Result<bool> equals(const Value& on, const Arguments& a) { return on == *TRY(operand(a)); }
Result<bool> differs(const Value& on, const Arguments& a) { return !(on == *TRY(operand(a))); }
Result<bool> is_less(const Value& on, const Arguments& a) { return less(on, *TRY(operand(a))); }
Result<bool> is_greater(const Value& on, const Arguments& a) { return less(*TRY(operand(a)), on); }
Result<bool> at_most(const Value& on, const Arguments& a) { return !TRY(less(*TRY(operand(a)), on)); }
Result<bool> at_least(const Value& on, const Arguments& a) { return !TRY(less(on, *TRY(operand(a)))); }
Result<bool> is_in(const Value& on, const Arguments& a) { return contains(*TRY(operand(a)), on); }
Result<bool> divisible(const Value& on, const Arguments& a) {
  const int64_t by = TRY(integer(*TRY(operand(a))));
  if (by == 0) return fail(ErrorCode::kInvalidArgument, "division by zero");
  return by == -1 || TRY(integer(on)) % by == 0;
}
Result<bool> same_as(const Value& on, const Arguments& a) {
  const Value& other = *TRY(operand(a));
  return on.type_name() == other.type_name() && on == other;
}

constexpr std::array<std::pair<std::string_view, Test>, 39> kTests = {{
    {"defined", [](const Value& v, const Arguments&) -> Result<bool> { return !v.is_undefined(); }},
    {"undefined", [](const Value& v, const Arguments&) -> Result<bool> { return v.is_undefined(); }},
    {"none", [](const Value& v, const Arguments&) -> Result<bool> { return v.is_none(); }},
    {"string", [](const Value& v, const Arguments&) -> Result<bool> { return v.text() != nullptr; }},
    {"number", [](const Value& v, const Arguments&) -> Result<bool> { return v.is_number(); }},
    {"integer", [](const Value& v, const Arguments&) -> Result<bool> { return v.get<int64_t>() != nullptr; }},
    {"float", [](const Value& v, const Arguments&) -> Result<bool> { return v.get<double>() != nullptr; }},
    {"boolean", [](const Value& v, const Arguments&) -> Result<bool> { return v.get<bool>() != nullptr; }},
    {"true",
     [](const Value& v, const Arguments&) -> Result<bool> { return v.get<bool>() != nullptr && v.truth(); }},
    {"false",
     [](const Value& v, const Arguments&) -> Result<bool> { return v.get<bool>() != nullptr && !v.truth(); }},
    {"mapping", [](const Value& v, const Arguments&) -> Result<bool> { return v.dict() != nullptr; }},
    {"sequence",
     [](const Value& v, const Arguments&) -> Result<bool> { return v.text() || v.list() || v.dict(); }},
    {"iterable",
     [](const Value& v, const Arguments&) -> Result<bool> {
       return v.text() || v.list() || v.dict() || v.is_undefined();
     }},
    {"callable",
     [](const Value& v, const Arguments&) -> Result<bool> { return v.get<Function>() != nullptr; }},
    {"even", [](const Value& v, const Arguments&) -> Result<bool> { return TRY(integer(v)) % 2 == 0; }},
    {"odd", [](const Value& v, const Arguments&) -> Result<bool> { return TRY(integer(v)) % 2 != 0; }},
    {"lower",
     [](const Value& v, const Arguments&) -> Result<bool> {
       return v.print() == to_lower(v.print()) && v.print() != to_upper(v.print());
     }},
    {"upper",
     [](const Value& v, const Arguments&) -> Result<bool> {
       return v.print() == to_upper(v.print()) && v.print() != to_lower(v.print());
     }},
    {"filter",
     [](const Value& v, const Arguments&) -> Result<bool> {
       return v.text() != nullptr && has_filter(*v.text());
     }},
    {"test",
     [](const Value& v, const Arguments&) -> Result<bool> {
       return v.text() != nullptr && has_test(*v.text());
     }},
    {"escaped", [](const Value&, const Arguments&) -> Result<bool> { return false; }},
    {"eq", equals},
    {"==", equals},
    {"equalto", equals},
    {"ne", differs},
    {"!=", differs},
    {"lt", is_less},
    {"<", is_less},
    {"lessthan", is_less},
    {"gt", is_greater},
    {">", is_greater},
    {"greaterthan", is_greater},
    {"le", at_most},
    {"<=", at_most},
    {"ge", at_least},
    {">=", at_least},
    {"in", is_in},
    {"divisibleby", divisible},
    {"sameas", same_as},
}};

}  // namespace

bool has_test(std::string_view name) {
  for (const auto& [known, test] : kTests)
    if (known == name) return true;
  return false;
}

Result<bool> apply_test(std::string_view name, const Value& on, const Arguments& arguments) {
  for (const auto& [known, test] : kTests) {
    if (known != name) continue;
    Result<bool> got = test(on, arguments);
    if (!got) return fail(got.error().code, "test '{}': {}", name, got.error().message);
    return got;
  }
  return fail(ErrorCode::kUnsupported, "test '{}' is not supported", name);
}

}  // namespace volant::jinja
