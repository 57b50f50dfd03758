// Methods of texts, lists and dictionaries, as Python has them. Those that would change a value are refused,
// as in Jinja's immutable sandbox.
#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/unicode.h"

namespace volant::jinja {
namespace {

Result<std::string> text_argument(const Arguments& arguments, size_t index, std::string_view name) {
  const Value* value = arguments.find(index, name);
  if (value == nullptr || value->text() == nullptr)
    return fail(ErrorCode::kInvalidArgument, "expected a text as argument {}, got {}", index + 1,
                value == nullptr ? "nothing" : value->type_name());
  return *value->text();
}

bool in_set(char32_t c, const std::optional<std::u32string>& set) {
  return set ? set->find(c) != std::u32string::npos : is_white_space(c);
}

std::string strip(const std::string& text, const std::optional<std::u32string>& set, bool left, bool right) {
  const std::u32string points = to_code_points(text);
  size_t begin = 0, end = points.size();
  while (left && begin < end && in_set(points[begin], set)) ++begin;
  while (right && end > begin && in_set(points[end - 1], set)) --end;
  return from_code_points(std::u32string_view(points).substr(begin, end - begin));
}

// Pieces between blanks, at most `most` cuts; from the right when `backwards`.
List split_blanks(const std::string& text, int64_t most, bool backwards) {
  std::u32string points = to_code_points(text);
  if (backwards) std::reverse(points.begin(), points.end());
  List out;
  size_t pos = 0;
  const auto push = [&](std::u32string part) {
    if (backwards) std::reverse(part.begin(), part.end());
    out.push_back(Value::of(from_code_points(part)));
  };
  while (true) {
    while (pos < points.size() && is_white_space(points[pos])) ++pos;
    if (pos == points.size()) break;
    if (most >= 0 && static_cast<int64_t>(out.size()) == most) {
      size_t end = points.size();
      while (end > pos && is_white_space(points[end - 1])) --end;
      push(points.substr(pos, end - pos));
      break;
    }
    size_t end = pos;
    while (end < points.size() && !is_white_space(points[end])) ++end;
    push(points.substr(pos, end - pos));
    pos = end;
  }
  if (backwards) std::reverse(out.begin(), out.end());
  return out;
}

Result<List> split_by(const std::string& text, const std::string& by, int64_t most, bool backwards) {
  if (by.empty()) return fail(ErrorCode::kInvalidArgument, "the separator is empty");
  List out;
  if (!backwards) {
    size_t pos = 0;
    for (size_t found; (most < 0 || static_cast<int64_t>(out.size()) < most) &&
                       (found = text.find(by, pos)) != std::string::npos;
         pos = found + by.size())
      out.push_back(Value::of(text.substr(pos, found - pos)));
    out.push_back(Value::of(text.substr(pos)));
    return out;
  }
  size_t end = text.size();
  while (end >= by.size() && (most < 0 || static_cast<int64_t>(out.size()) < most)) {
    const size_t found = text.rfind(by, end - by.size());
    if (found == std::string::npos) break;
    out.push_back(Value::of(text.substr(found + by.size(), end - found - by.size())));
    end = found;
  }
  out.push_back(Value::of(text.substr(0, end)));
  std::reverse(out.begin(), out.end());
  return out;
}

Result<Value> split(const std::string& text, const Arguments& arguments, bool backwards) {
  if (Status status = arguments.check(2, {"sep", "maxsplit"}); !status) return std::move(status).error();
  const Value* by = arguments.find(0, "sep");
  const Value* most = arguments.find(1, "maxsplit");
  if (most != nullptr && !most->is_integer())
    return fail(ErrorCode::kInvalidArgument, "maxsplit must be an integer, not {}", most->type_name());
  const int64_t limit = most == nullptr ? -1 : most->as_int();
  if (by == nullptr || by->is_none()) return Value::of(split_blanks(text, limit, backwards));
  if (by->text() == nullptr)
    return fail(ErrorCode::kInvalidArgument, "the separator must be a text, not {}", by->type_name());
  return Value::of(TRY(split_by(text, *by->text(), limit, backwards)));
}

List split_lines(const std::string& text, bool keep_ends) {
  List out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = std::min(text.find_first_of("\n\r\v\f", pos), text.size());
    size_t next = end;
    if (end < text.size()) next = text.compare(end, 2, "\r\n") == 0 ? end + 2 : end + 1;
    out.push_back(Value::of(text.substr(pos, (keep_ends ? next : end) - pos)));
    pos = next;
  }
  return out;
}

// startswith, endswith: a text or a list of them.
Result<Value> starts_or_ends(const std::string& text, const Arguments& arguments, bool at_start) {
  if (Status status = arguments.check(1); !status) return std::move(status).error();
  if (arguments.values.size() != 1) return fail(ErrorCode::kInvalidArgument, "expected one argument");
  const List options =
      arguments.values[0].list() != nullptr ? *arguments.values[0].list() : List{arguments.values[0]};
  for (const Value& option : options) {
    if (option.text() == nullptr)
      return fail(ErrorCode::kInvalidArgument, "expected a text, got {}", option.type_name());
    if (at_start ? text.starts_with(*option.text()) : text.ends_with(*option.text())) return Value::of(true);
  }
  return Value::of(false);
}

template <class Predicate>
bool all_of_text(const std::string& text, Predicate predicate) {
  for (size_t pos = 0; pos < text.size();)
    if (!predicate(next_code_point(text, pos))) return false;
  return !text.empty();
}

int64_t count_matches(const std::string& text, const std::string& part) {
  if (part.empty()) return static_cast<int64_t>(count_code_points(text)) + 1;
  int64_t n = 0;
  for (size_t pos = 0; (pos = text.find(part, pos)) != std::string::npos; pos += part.size()) ++n;
  return n;
}

std::string capitalized(const std::string& text) {
  size_t pos = 0;
  if (text.empty()) return text;
  next_code_point(text, pos);
  return to_upper(std::string_view(text).substr(0, pos)) + to_lower(std::string_view(text).substr(pos));
}

Result<Value> strip_method(const std::string& text, const Arguments& arguments, bool left, bool right) {
  if (Status status = arguments.check(1, {"chars"}); !status) return std::move(status).error();
  const Value* set = arguments.find(0, "chars");
  std::optional<std::u32string> points;
  if (set != nullptr && !set->is_none()) points = to_code_points(TRY(text_argument(arguments, 0, "chars")));
  return Value::of(strip(text, points, left, right));
}

Result<Value> find_method(const std::string& text, const Arguments& arguments, bool from_right, bool must) {
  if (Status status = arguments.check(1); !status) return std::move(status).error();
  const std::string part = TRY(text_argument(arguments, 0, ""));
  const size_t found = from_right ? text.rfind(part) : text.find(part);
  if (found != std::string::npos)
    return Value::of(static_cast<int64_t>(count_code_points(std::string_view(text).substr(0, found))));
  if (must) return fail(ErrorCode::kInvalidArgument, "the text does not hold '{}'", part);
  return Value::of(int64_t{-1});
}

Result<Value> text_method(const std::string& text, const std::string& name, const Arguments& arguments) {
  if (name == "strip") return strip_method(text, arguments, true, true);
  if (name == "lstrip") return strip_method(text, arguments, true, false);
  if (name == "rstrip") return strip_method(text, arguments, false, true);
  if (name == "startswith") return starts_or_ends(text, arguments, true);
  if (name == "endswith") return starts_or_ends(text, arguments, false);
  if (name == "split") return split(text, arguments, false);
  if (name == "rsplit") return split(text, arguments, true);
  if (name == "find") return find_method(text, arguments, false, false);
  if (name == "rfind") return find_method(text, arguments, true, false);
  if (name == "index") return find_method(text, arguments, false, true);
  if (name == "replace") {
    if (Status status = arguments.check(3, {"count"}); !status) return std::move(status).error();
    return apply_filter("replace", Value::of(text), arguments);
  }
  if (name == "splitlines") {
    if (Status status = arguments.check(1, {"keepends"}); !status) return std::move(status).error();
    const Value* keep = arguments.find(0, "keepends");
    return Value::of(split_lines(text, keep != nullptr && keep->truth()));
  }
  if (name == "count") return Value::of(count_matches(text, TRY(text_argument(arguments, 0, ""))));
  if (name == "join") {
    if (Status status = arguments.check(1); !status) return std::move(status).error();
    if (arguments.values.size() != 1) return fail(ErrorCode::kInvalidArgument, "expected one argument");
    for (const Value& item : TRY(items_of(arguments.values[0])))
      if (item.text() == nullptr)
        return fail(ErrorCode::kInvalidArgument, "expected texts to join, got {}", item.type_name());
    return apply_filter("join", arguments.values[0], {{Value::of(text)}, {}});
  }
  if (name == "removeprefix" || name == "removesuffix") {
    const std::string part = TRY(text_argument(arguments, 0, ""));
    const bool front = name == "removeprefix";
    if (part.empty() || !(front ? text.starts_with(part) : text.ends_with(part))) return Value::of(text);
    return Value::of(front ? text.substr(part.size()) : text.substr(0, text.size() - part.size()));
  }
  if (Status status = arguments.check(0); !status) return std::move(status).error();
  if (name == "upper") return text_value(to_upper(text));
  if (name == "lower") return text_value(to_lower(text));
  if (name == "title") return text_value(to_title(text));
  if (name == "capitalize") return text_value(capitalized(text));
  if (name == "isspace") return Value::of(all_of_text(text, is_white_space));
  if (name == "isdigit" || name == "isnumeric" || name == "isdecimal")
    return Value::of(all_of_text(text, is_number));
  if (name == "isalpha") return Value::of(all_of_text(text, is_letter));
  if (name == "isalnum")
    return Value::of(all_of_text(text, [](char32_t c) { return is_letter(c) || is_number(c); }));
  if (name == "isupper" || name == "islower")
    return Value::of(TRY(apply_test(name.substr(2), Value::of(text), {})));
  return fail(ErrorCode::kUnsupported, "method '{}' of a text is not supported", name);
}

Result<Value> dict_method(const Dict& dict, const std::string& name, const Arguments& arguments) {
  if (name == "get") {
    if (Status status = arguments.check(2); !status) return std::move(status).error();
    if (arguments.values.empty()) return fail(ErrorCode::kInvalidArgument, "expected a key");
    if (const Value* found = find(dict, arguments.values[0])) return *found;
    return arguments.values.size() > 1 ? arguments.values[1] : Value::none();
  }
  if (Status status = arguments.check(0); !status) return std::move(status).error();
  List out;
  if (name == "copy") return Value::of(dict);
  if (name == "items") {
    for (const auto& [key, value] : dict) out.push_back(Value::tuple(List{key, value}));
  } else if (name == "keys") {
    for (const auto& [key, value] : dict) out.push_back(key);
  } else if (name == "values") {
    for (const auto& [key, value] : dict) out.push_back(value);
  } else {
    return fail(ErrorCode::kUnsupported, "method '{}' of a dictionary is not supported", name);
  }
  return Value::of(std::move(out));
}

Result<Value> list_method(const List& list, const std::string& name, const Arguments& arguments) {
  if (name == "copy") return Value::of(list);
  if (arguments.values.size() == 1 && name == "count")
    return Value::of(static_cast<int64_t>(std::count(list.begin(), list.end(), arguments.values[0])));
  if (arguments.values.size() == 1 && name == "index") {
    const auto found = std::find(list.begin(), list.end(), arguments.values[0]);
    if (found == list.end())
      return fail(ErrorCode::kInvalidArgument, "{} is not in the list", arguments.values[0].repr());
    return Value::of(static_cast<int64_t>(found - list.begin()));
  }
  return fail(ErrorCode::kUnsupported, "method '{}' of a list is not supported", name);
}

}  // namespace

Result<Value> call_method(const Value& on, const std::string& name, const Arguments& arguments) {
  if (const auto* undefined = on.get<Undefined>())
    return fail(ErrorCode::kInvalidArgument, "'{}' is undefined, so it has no '{}'", undefined->name, name);
  const auto call = [&]() -> Result<Value> {
    if (const auto* text = on.text()) return text_method(*text, name, arguments);
    if (const Dict* dict = on.dict()) return dict_method(*dict, name, arguments);
    if (const List* list = on.list()) return list_method(*list, name, arguments);
    return fail(ErrorCode::kUnsupported, "a value of type {} has no method '{}'", on.type_name(), name);
  };
  Result<Value> got = call();
  if (!got && got.error().code == ErrorCode::kInvalidArgument)
    return fail(ErrorCode::kInvalidArgument, "method '{}': {}", name, got.error().message);
  return got;
}

}  // namespace volant::jinja
