// The functions that a template can call by name: range, dict, namespace, raise_exception, strftime_now.
#include <algorithm>
#include <array>
#include <ctime>

#include "text/jinja_builtins.h"

namespace volant::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;
constexpr size_t kMaxTimeFormatBytes = 200;

Result<Value> range(const Arguments& arguments) {
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

// The entries of one dictionary, then the keywords.
Result<Dict> entries(const char* name, const Arguments& arguments) {
  Dict values;
  if (arguments.values.size() > 1 || (arguments.values.size() == 1 && !arguments.values[0].dict()))
    return fail(ErrorCode::kInvalidArgument, "{}: expected a dictionary or keyword arguments", name);
  if (!arguments.values.empty()) values = *arguments.values[0].dict();
  for (const auto& [key, value] : arguments.keywords) put(values, Value::of(key), value);
  return values;
}

Result<Value> dict(const Arguments& arguments) { return Value::of(TRY(entries("dict", arguments))); }

Result<Value> make_namespace(const Arguments& arguments) {
  auto names = std::make_shared<Namespace>();
  for (const auto& [key, value] : TRY(entries("namespace", arguments))) TRY(set_name(*names, key, value));
  return Value::of(std::move(names));
}

Result<Value> raise_exception(const Arguments& arguments) {
  return fail(ErrorCode::kInvalidArgument, "{}",
              arguments.values.empty() ? "the template refuses these messages" : arguments.values[0].print());
}

Result<Value> strftime_now(const Arguments& arguments) {
  if (arguments.values.size() != 1 || !arguments.values[0].text() ||
      arguments.values[0].text()->size() > kMaxTimeFormatBytes)
    return fail(ErrorCode::kInvalidArgument, "strftime_now: expected one format");
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char buffer[1024];
  const size_t size = std::strftime(buffer, sizeof(buffer), arguments.values[0].text()->c_str(), &local);
  return Value::of(std::string(buffer, size));
}

using Call = Result<Value> (*)(const Arguments&);
constexpr std::array<std::pair<std::string_view, Call>, 5> kFunctions = {
    {{"range", range},
     {"dict", dict},
     {"namespace", make_namespace},
     {"raise_exception", raise_exception},
     {"strftime_now", strftime_now}}};

}  // namespace

bool has_function(std::string_view name) {
  return std::any_of(kFunctions.begin(), kFunctions.end(),
                     [name](const auto& function) { return function.first == name; });
}

Result<Value> call_function(std::string_view name, const Arguments& arguments) {
  for (const auto& [known, function] : kFunctions)
    if (known == name) return function(arguments);
  return fail(ErrorCode::kUnsupported, "function '{}' is not supported", name);
}

}  // namespace volant::jinja
