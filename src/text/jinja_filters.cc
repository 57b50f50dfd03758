// The filters of Jinja templates: `x | NAME(...)`.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "text/escape_html.h"
#include "text/jinja_builtins.h"
#include "text/jinja_list_filters.h"
#include "text/unicode.h"

namespace volant::jinja {
namespace {

using Filter = Result<Value> (*)(const Value& on, const Arguments& arguments);

Result<Value> tojson(const Value& on, const Arguments& a) {
  if (Status status = a.check(4, {"ensure_ascii", "indent", "separators", "sort_keys"}); !status)
    return std::move(status).error();
  JsonStyle style;
  style.ensure_ascii = flag(a, 0, "ensure_ascii", false);
  if (const Value* indent = a.find(1, "indent"); indent != nullptr && indent->is_integer())
    style.indent = static_cast<int>(std::clamp<int64_t>(indent->as_int(), 0, 16));
  if (const Value* separators = a.find(2, "separators"); separators != nullptr && !separators->is_none()) {
    const List* pair = separators->list();
    if (pair == nullptr || pair->size() != 2 || !(*pair)[0].text() || !(*pair)[1].text())
      return fail(ErrorCode::kInvalidArgument, "separators must be two texts");
    style.item_separator = *(*pair)[0].text();
    style.key_separator = *(*pair)[1].text();
  }
  style.sort_keys = flag(a, 3, "sort_keys", false);
  return text_value(TRY(to_json_text(on, style)));
}

Result<Value> length(const Value& on, const Arguments& a) {
  if (Status status = a.check(0); !status) return std::move(status).error();
  if (on.text()) return Value::of(static_cast<int64_t>(count_code_points(*on.text())));
  if (on.list()) return Value::of(static_cast<int64_t>(on.list()->size()));
  if (on.dict()) return Value::of(static_cast<int64_t>(on.dict()->size()));
  if (on.is_undefined()) return Value::of(int64_t{0});
  return fail(ErrorCode::kInvalidArgument, "a value of type {} has no length", on.type_name());
}

Result<Value> default_value(const Value& on, const Arguments& a) {
  if (Status status = a.check(2, {"default_value", "boolean"}); !status) return std::move(status).error();
  const Value* other = a.find(0, "default_value");
  const bool replace = on.is_undefined() || (flag(a, 1, "boolean", false) && !on.truth());
  if (!replace) return on;
  return other == nullptr ? Value::of(std::string()) : *other;
}

Result<Value> join(const Value& on, const Arguments& a) {
  if (Status status = a.check(2, {"d", "attribute"}); !status) return std::move(status).error();
  const Value* by = a.find(0, "d");
  const Value* attribute = a.find(1, "attribute");
  const std::string separator = by == nullptr ? "" : by->print();
  std::string out;
  bool first = true;
  for (const Value& item : TRY(items_of(on))) {
    if (!first) out += separator;
    first = false;
    out += attribute == nullptr ? item.print() : TRY(attribute_of(item, *attribute)).print();
    if (out.size() > kMaxTextBytes)
      return fail(ErrorCode::kLimit, "a text of more than {} bytes", kMaxTextBytes);
  }
  return Value::of(std::move(out));
}

Result<Value> replace(const Value& on, const Arguments& a) {
  if (Status status = a.check(3, {"old", "new", "count"}); !status) return std::move(status).error();
  const Value *from = a.find(0, "old"), *to = a.find(1, "new"), *most = a.find(2, "count");
  if (from == nullptr || to == nullptr)
    return fail(ErrorCode::kInvalidArgument, "expected what to replace and by what");
  const std::string text = on.print(), old_text = from->print(), new_text = to->print();
  int64_t left = most != nullptr && most->is_integer() && most->as_int() >= 0 ? most->as_int() : INT64_MAX;
  std::string out;
  size_t pos = 0;
  while (left-- > 0 && out.size() <= kMaxTextBytes) {
    if (old_text.empty()) {  // between all characters
      out += new_text;
      if (pos >= text.size()) break;
      const size_t begin = pos;
      next_code_point(text, pos);
      out.append(text, begin, pos - begin);
      continue;
    }
    const size_t found = text.find(old_text, pos);
    if (found == std::string::npos) break;
    out.append(text, pos, found - pos);
    out += new_text;
    pos = found + old_text.size();
  }
  out.append(text, pos);
  return text_value(std::move(out));
}

Result<Value> first_item(const Value& on, const Arguments&) {
  const List items = TRY(items_of(on));
  return items.empty() ? Value::undefined("first") : items.front();
}
Result<Value> last_item(const Value& on, const Arguments&) {
  const List items = TRY(items_of(on));
  return items.empty() ? Value::undefined("last") : items.back();
}

Result<Value> items(const Value& on, const Arguments&) {
  if (on.is_undefined()) return Value::of(List{});
  if (on.dict() == nullptr)
    return fail(ErrorCode::kInvalidArgument, "expected a dictionary, got {}", on.type_name());
  return call_method(on, "items", {});
}

// Arguments after the first `n`.
Arguments rest_of(const Arguments& a, size_t n) {
  Arguments rest = a;
  rest.values.erase(rest.values.begin(),
                    rest.values.begin() + static_cast<std::ptrdiff_t>(std::min(n, rest.values.size())));
  return rest;
}

Result<Value> map(const Value& on, const Arguments& a) {
  List out;
  const Value* attribute = a.values.empty() ? a.find(0, "attribute") : nullptr;
  const Value* otherwise = a.values.empty() ? a.find(1, "default") : nullptr;
  if (attribute == nullptr && (a.values.empty() || !a.values[0].text()))
    return fail(ErrorCode::kInvalidArgument, "expected the name of a filter, or attribute=");
  for (const Value& item : TRY(items_of(on))) {
    if (attribute != nullptr) {
      Value got = TRY(attribute_of(item, *attribute));
      if (got.is_undefined() && otherwise != nullptr) got = *otherwise;
      out.push_back(std::move(got));
    } else {
      out.push_back(TRY(apply_filter(*a.values[0].text(), item, rest_of(a, 1))));
    }
  }
  return Value::of(std::move(out));
}

// select, reject, selectattr, rejectattr.
Result<Value> choose(const Value& on, const Arguments& a, bool by_attribute, bool keep) {
  size_t n = 0;
  if (by_attribute && a.values.empty())
    return fail(ErrorCode::kInvalidArgument, "expected the name of an attribute");
  const Value* attribute = by_attribute ? &a.values[n++] : nullptr;
  std::string test;
  if (a.values.size() > n) test = a.values[n++].print();
  const Arguments rest = rest_of(a, n);
  List out;
  for (const Value& item : TRY(items_of(on))) {
    const Value value = attribute == nullptr ? item : TRY(attribute_of(item, *attribute));
    const bool holds = test.empty() ? value.truth() : TRY(apply_test(test, value, rest));
    if (holds == keep) out.push_back(item);
  }
  return Value::of(std::move(out));
}

Result<Value> reverse(const Value& on, const Arguments&) {
  List list = TRY(items_of(on));
  std::reverse(list.begin(), list.end());
  if (on.text() == nullptr) return Value::of(std::move(list));
  std::string out;
  for (const Value& item : list) out += *item.text();
  return Value::of(std::move(out));
}

Result<Value> to_int(const Value& on, const Arguments& a) {
  const Value* other = a.find(0, "default");
  const Value otherwise = other == nullptr ? Value::of(int64_t{0}) : *other;
  if (on.is_integer()) return Value::of(on.as_int());
  if (const double* number = on.get<double>())
    return std::fabs(*number) < 9e18 ? Value::of(static_cast<int64_t>(*number)) : otherwise;
  if (!on.text()) return otherwise;
  const std::string text = *TRY(call_method(on, "strip", {})).text();
  int64_t number = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto [end, bad] = std::from_chars(begin, text.data() + text.size(), number);
  if (bad == std::errc() && end == text.data() + text.size()) return Value::of(number);
  char* stop = nullptr;
  const double real = std::strtod(text.c_str(), &stop);
  if (text.empty() || *stop != 0 || !(std::fabs(real) < 9e18)) return otherwise;
  return Value::of(static_cast<int64_t>(real));
}

Result<Value> to_float(const Value& on, const Arguments& a) {
  const Value* other = a.find(0, "default");
  if (on.is_number()) return Value::of(on.as_double());
  if (on.text()) {
    char* stop = nullptr;
    const double real = std::strtod(on.text()->c_str(), &stop);
    if (!on.text()->empty() && *stop == 0) return Value::of(real);
  }
  return other == nullptr ? Value::of(0.0) : *other;
}

Result<Value> round_value(const Value& on, const Arguments& a) {
  if (!on.is_number()) return fail(ErrorCode::kInvalidArgument, "expected a number, got {}", on.type_name());
  const Value *digits = a.find(0, "precision"), *method = a.find(1, "method");
  const std::string how = method == nullptr ? "common" : method->print();
  const double scale = std::pow(
      10, static_cast<double>(digits == nullptr ? 0 : std::clamp<int64_t>(digits->as_int(), -15, 15)));
  const double scaled = on.as_double() * scale;
  const double rounded = how == "ceil"    ? std::ceil(scaled)
                         : how == "floor" ? std::floor(scaled)
                                          : std::nearbyint(scaled);
  return Value::of(rounded / scale);
}

Result<Value> absolute(const Value& on, const Arguments&) {
  if (on.is_integer() && on.as_int() != INT64_MIN) return Value::of(std::abs(on.as_int()));
  if (on.is_number()) return Value::of(std::fabs(on.as_double()));
  return fail(ErrorCode::kInvalidArgument, "expected a number, got {}", on.type_name());
}

Result<Value> sum(const Value& on, const Arguments& a) {
  const Value *attribute = a.find(0, "attribute"), *start = a.find(1, "start");
  bool integers = start == nullptr || start->is_integer();
  int64_t whole = start == nullptr ? 0 : start->as_int();
  double real = start == nullptr ? 0 : start->as_double();
  for (const Value& item : TRY(items_of(on))) {
    const Value value = attribute == nullptr ? item : TRY(attribute_of(item, *attribute));
    if (!value.is_number())
      return fail(ErrorCode::kInvalidArgument, "expected numbers, got {}", value.type_name());
    integers = integers && value.is_integer();
    whole = static_cast<int64_t>(static_cast<uint64_t>(whole) + static_cast<uint64_t>(value.as_int()));
    real += value.as_double();
  }
  return integers ? Value::of(whole) : Value::of(real);
}

Result<Value> extreme(const Value& on, const Arguments& a, bool greatest) {
  const Value* attribute = a.find(1, "attribute");
  std::optional<Value> best, best_key;
  for (const Value& item : TRY(items_of(on))) {
    Value key = attribute == nullptr ? item : TRY(attribute_of(item, *attribute));
    const bool better = !best_key || (greatest ? TRY(less(*best_key, key)) : TRY(less(key, *best_key)));
    if (!better) continue;
    best = item;
    best_key = std::move(key);
  }
  return best ? *best : Value::undefined(greatest ? "max" : "min");
}

Result<Value> indent(const Value& on, const Arguments& a) {
  if (Status status = a.check(3, {"width", "first", "blank"}); !status) return std::move(status).error();
  const Value* width = a.find(0, "width");
  const std::string blanks =
      width != nullptr && width->text()
          ? *width->text()
          : std::string(
                static_cast<size_t>(width == nullptr ? 4 : std::clamp<int64_t>(width->as_int(), 0, 1000)),
                ' ');
  const bool first = flag(a, 1, "first", false), empty_lines = flag(a, 2, "blank", false);
  const std::string text = on.print();
  std::string out;
  size_t pos = 0;
  for (bool is_first = true; pos <= text.size() && out.size() <= kMaxTextBytes; is_first = false) {
    const size_t end = std::min(text.find('\n', pos), text.size());
    const bool blank = end == pos;
    if (is_first ? first : empty_lines || !blank) out += blanks;
    out.append(text, pos, end - pos);
    if (end == text.size()) break;
    out += '\n';
    pos = end + 1;
  }
  return text_value(std::move(out));
}

// At most `length` characters (and `leeway` more), cut at a blank unless `killwords`.
Result<Value> truncate(const Value& on, const Arguments& a) {
  TRY(a.check(4, {"length", "killwords", "end", "leeway"}));
  const int64_t length = TRY(integer_or(a, 0, "length", 255)), leeway = TRY(integer_or(a, 3, "leeway", 5));
  const bool killwords = flag(a, 1, "killwords", false);
  const Value* given = a.find(2, "end");
  const std::string end = given == nullptr ? "..." : given->print();
  const std::string text = on.print();
  const auto n_end = static_cast<int64_t>(count_code_points(end));
  if (length < n_end || leeway < 0)
    return fail(ErrorCode::kInvalidArgument, "expected a length of at least {} and a leeway of at least 0",
                n_end);
  if (static_cast<int64_t>(count_code_points(text)) - leeway <= length) return Value::of(text);
  size_t cut = 0;
  for (int64_t i = 0; i < length - n_end; ++i) next_code_point(text, cut);
  std::string kept = text.substr(0, cut);
  if (!killwords) kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  return text_value(kept + end);
}

Result<Value> center(const Value& on, const Arguments& a) {
  TRY(a.check(1, {"width"}));
  const int64_t width = std::min<int64_t>(TRY(integer_or(a, 0, "width", 80)), 1000);
  const std::string text = on.print();
  const int64_t blanks = std::max<int64_t>(0, width - static_cast<int64_t>(count_code_points(text)));
  const int64_t left = blanks / 2 + (blanks & width & 1);  // as Python's str.center
  return text_value(std::string(static_cast<size_t>(left), ' ') + text +
                    std::string(static_cast<size_t>(blanks - left), ' '));
}

Result<Value> escape(const Value& on, const Arguments&) { return text_value(escape_html(on.print())); }

Result<Value> by_method(const Value& on, const char* method, const Arguments& a) {
  return call_method(Value::of(on.print()), method, a);
}

constexpr std::array<std::pair<std::string_view, Filter>, 44> kFilters = {{
    {"tojson", tojson},
    {"length", length},
    {"count", length},
    {"default", default_value},
    {"d", default_value},
    {"join", join},
    {"replace", replace},
    {"first", first_item},
    {"last", last_item},
    {"items", items},
    {"dictsort", dictsort},
    {"sort", sort},
    {"unique", unique},
    {"groupby", groupby},
    {"batch", batch},
    {"slice", slice},
    {"truncate", truncate},
    {"center", center},
    {"map", map},
    {"select", [](const Value& v, const Arguments& a) { return choose(v, a, false, true); }},
    {"reject", [](const Value& v, const Arguments& a) { return choose(v, a, false, false); }},
    {"selectattr", [](const Value& v, const Arguments& a) { return choose(v, a, true, true); }},
    {"rejectattr", [](const Value& v, const Arguments& a) { return choose(v, a, true, false); }},
    {"reverse", reverse},
    {"int", to_int},
    {"float", to_float},
    {"round", round_value},
    {"abs", absolute},
    {"sum", sum},
    {"min", [](const Value& v, const Arguments& a) { return extreme(v, a, false); }},
    {"max", [](const Value& v, const Arguments& a) { return extreme(v, a, true); }},
    {"indent", indent},
    {"escape", escape},
    {"e", escape},
    {"list", [](const Value& v, const Arguments&) -> Result<Value> { return Value::of(TRY(items_of(v))); }},
    {"string", [](const Value& v, const Arguments&) -> Result<Value> { return Value::of(v.print()); }},
    {"safe", [](const Value& v, const Arguments&) -> Result<Value> { return Value::of(v.print()); }},
    {"trim", [](const Value& v, const Arguments& a) { return by_method(v, "strip", a); }},
    {"upper", [](const Value& v, const Arguments& a) { return by_method(v, "upper", a); }},
    {"lower", [](const Value& v, const Arguments& a) { return by_method(v, "lower", a); }},
    {"title", [](const Value& v, const Arguments& a) { return by_method(v, "title", a); }},
    {"capitalize", [](const Value& v, const Arguments& a) { return by_method(v, "capitalize", a); }},
    {"wordcount",
     [](const Value& v, const Arguments&) -> Result<Value> {
       return Value::of(
           static_cast<int64_t>(TRY(call_method(Value::of(v.print()), "split", {})).list()->size()));
     }},
    {"attr",
     [](const Value& v, const Arguments& a) -> Result<Value> {
       if (a.values.size() != 1 || !a.values[0].text())
         return fail(ErrorCode::kInvalidArgument, "expected a name");
       return get_attribute(v, *a.values[0].text());
     }},
}};

}  // namespace

bool has_filter(std::string_view name) {
  for (const auto& [known, filter] : kFilters)
    if (known == name) return true;
  return false;
}

Result<Value> apply_filter(std::string_view name, const Value& on, const Arguments& arguments) {
  for (const auto& [known, filter] : kFilters) {
    if (known != name) continue;
    Result<Value> got = filter(on, arguments);
    if (!got) return fail(got.error().code, "filter '{}': {}", name, got.error().message);
    return got;
  }
  return fail(ErrorCode::kUnsupported, "filter '{}' is not supported", name);
}

}  // namespace volant::jinja
