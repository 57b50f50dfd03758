#include "text/jinja_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/unicode.h"

namespace volant::jinja {
namespace {

constexpr int kMaxDepth = 100;

std::string print_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == std::floor(value) && std::fabs(value) < 1e16) return fmt::format("{:.1f}", value);
  std::string text = fmt::format("{}", value);  // the shortest that reads back the same
  return text;
}

std::string quoted(std::string_view text) {
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

std::string repr_at(const Value& value, int depth) {
  if (depth > kMaxDepth) return "...";
  if (const auto* text = value.text()) return quoted(*text);
  std::string out;
  if (const List* list = value.list()) {
    for (const Value& item : *list) out += (out.empty() ? "" : ", ") + repr_at(item, depth + 1);
    if (value.is_tuple()) return "(" + out + (list->size() == 1 ? ",)" : ")");
    return "[" + out + "]";
  }
  if (const Dict* dict = value.dict()) {
    for (const auto& [key, item] : *dict)
      out += (out.empty() ? "" : ", ") + repr_at(key, depth + 1) + ": " + repr_at(item, depth + 1);
    return "{" + out + "}";
  }
  if (value.is_undefined()) return "Undefined";
  return value.print();
}

void append_json_text(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000)) {
          out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
        } else if (ensure_ascii && c >= 0x10000) {
          const auto rest = static_cast<uint32_t>(c) - 0x10000U;
          out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10), 0xDC00U + (rest & 0x3FF));
        } else {
          out.append(text.substr(begin, pos - begin));
        }
    }
  }
  out += '"';
}

Status append_json(std::string& out, const Value& value, const JsonStyle& style, int depth) {
  if (depth > kMaxDepth) return fail(ErrorCode::kLimit, "tojson: more than {} levels", kMaxDepth);
  const auto line = [&](int level) {
    if (style.indent < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(style.indent) * static_cast<size_t>(level), ' ');
  };
  const std::string comma = !style.item_separator.empty() ? style.item_separator
                            : style.indent < 0            ? ", "
                                                          : ",";
  const std::string colon = !style.key_separator.empty() ? style.key_separator : ": ";
  if (const auto* text = value.text()) {
    append_json_text(out, *text, style.ensure_ascii);
  } else if (value.is_none()) {
    out += "null";
  } else if (const bool* flag = value.get<bool>()) {
    out += *flag ? "true" : "false";
  } else if (value.is_number()) {
    const std::string printed = value.print();
    out += printed == "nan"    ? "NaN"
           : printed == "inf"  ? "Infinity"
           : printed == "-inf" ? "-Infinity"
                               : printed;
  } else if (const List* list = value.list()) {
    if (list->empty()) {
      out += "[]";
      return {};
    }
    out += '[';
    for (size_t i = 0; i < list->size(); ++i) {
      if (i > 0) out += comma;
      line(depth + 1);
      if (Status status = append_json(out, (*list)[i], style, depth + 1); !status) return status;
    }
    line(depth);
    out += ']';
  } else if (const Dict* dict = value.dict()) {
    if (dict->empty()) {
      out += "{}";
      return {};
    }
    std::vector<std::pair<std::string, const Value*>> rows;
    for (const auto& [key, item] : *dict) {
      std::string name = key.print();
      if (const bool* truth = key.get<bool>()) name = *truth ? "true" : "false";
      if (key.is_none()) name = "null";
      rows.emplace_back(std::move(name), &item);
    }
    if (style.sort_keys)
      std::stable_sort(rows.begin(), rows.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    out += '{';
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i > 0) out += comma;
      line(depth + 1);
      append_json_text(out, rows[i].first, style.ensure_ascii);
      out += colon;
      if (Status status = append_json(out, *rows[i].second, style, depth + 1); !status) return status;
    }
    line(depth);
    out += '}';
  } else {
    return fail(ErrorCode::kInvalidArgument, "tojson: a value of type {} is not JSON", value.type_name());
  }
  return {};
}

}  // namespace

const List* Value::list() const {
  const auto* held = get<std::shared_ptr<const List>>();
  return held == nullptr ? nullptr : held->get();
}
const Dict* Value::dict() const {
  const auto* held = get<std::shared_ptr<const Dict>>();
  return held == nullptr ? nullptr : held->get();
}
Namespace* Value::names() const {
  const auto* held = get<std::shared_ptr<Namespace>>();
  return held == nullptr ? nullptr : held->get();
}

int64_t Value::as_int() const {
  if (const bool* flag = get<bool>()) return *flag ? 1 : 0;
  if (const auto* number = get<int64_t>()) return *number;
  return 0;
}
double Value::as_double() const {
  if (const auto* number = get<double>()) return *number;
  return static_cast<double>(as_int());
}

void Value::take_in(const Value& part) {
  nesting_ = std::max(nesting_, part.nesting_ + 1);
  holds_names_ = holds_names_ || part.holds_names_;
}

Value Value::of(List list) {
  Value made(Data(std::make_shared<const List>(std::move(list))));
  for (const Value& item : *made.list()) made.take_in(item);
  return made;
}

Value Value::of(Dict dict) {
  Value made(Data(std::make_shared<const Dict>(std::move(dict))));
  for (const auto& [key, value] : *made.dict()) {
    made.take_in(key);
    made.take_in(value);
  }
  return made;
}

Value Value::of(std::shared_ptr<Namespace> names) {
  Value made(Data(std::move(names)));
  made.holds_names_ = true;
  return made;
}

Value Value::from_json(const Json& json) {
  switch (json.kind()) {
    case boost::json::kind::null:
      return none();
    case boost::json::kind::bool_:
      return of(json.get_bool());
    case boost::json::kind::int64:
      return of(json.get_int64());
    case boost::json::kind::uint64:
      return of(static_cast<double>(json.get_uint64()));
    case boost::json::kind::double_:
      return of(json.get_double());
    case boost::json::kind::string:
      return of(std::string(json.get_string()));
    case boost::json::kind::array: {
      List list;
      list.reserve(json.get_array().size());
      for (const Json& item : json.get_array()) list.push_back(from_json(item));
      return of(std::move(list));
    }
    case boost::json::kind::object: {
      Dict dict;
      dict.reserve(json.get_object().size());
      for (const auto& [key, item] : json.get_object())
        dict.emplace_back(of(std::string(key)), from_json(item));
      return of(std::move(dict));
    }
  }
  return none();
}

bool Value::truth() const {
  if (const bool* flag = get<bool>()) return *flag;
  if (const auto* number = get<int64_t>()) return *number != 0;
  if (const auto* number = get<double>()) return *number != 0;
  if (const auto* held = text()) return !held->empty();
  if (const List* held = list()) return !held->empty();
  if (const Dict* held = dict()) return !held->empty();
  return !is_none() && !is_undefined();
}

std::string Value::type_name() const {
  constexpr const char* kNames[] = {"Undefined", "NoneType", "bool", "int",       "float",
                                    "str",       "list",     "dict", "Namespace", "function"};
  return is_tuple_ ? "tuple" : kNames[data_.index()];
}

std::string Value::print() const {
  if (is_undefined()) return "";
  if (is_none()) return "None";
  if (const bool* flag = get<bool>()) return *flag ? "True" : "False";
  if (const auto* number = get<int64_t>()) return std::to_string(*number);
  if (const auto* number = get<double>()) return print_double(*number);
  if (const auto* held = text()) return *held;
  if (list() != nullptr || dict() != nullptr) return repr_at(*this, 0);
  return "<" + type_name() + ">";
}

std::string Value::repr() const { return repr_at(*this, 0); }

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.as_int() == b.as_int();
    return a.as_double() == b.as_double();
  }
  if (a.data_.index() != b.data_.index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (a.text() != nullptr) return *a.text() == *b.text();
  if (a.list() != nullptr) return a.is_tuple() == b.is_tuple() && *a.list() == *b.list();
  if (a.dict() != nullptr) {
    if (a.dict()->size() != b.dict()->size()) return false;
    return std::all_of(a.dict()->begin(), a.dict()->end(), [&b](const auto& row) {
      const Value* other = find(*b.dict(), row.first);
      return other != nullptr && *other == row.second;
    });
  }
  if (a.names() != nullptr) return a.names() == b.names();
  const auto &f = *a.get<Function>(), &g = *b.get<Function>();
  return f.macro == g.macro && f.builtin == g.builtin;
}

const Value* find(const Dict& dict, const Value& key) {
  for (const auto& [name, value] : dict)
    if (name == key) return &value;
  return nullptr;
}

void put(Dict& dict, Value key, Value value) {
  for (auto& [name, old] : dict) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  dict.emplace_back(std::move(key), std::move(value));
}

Status set_name(Namespace& names, Value key, Value value) {
  if (value.holds_names())
    return fail(ErrorCode::kUnsupported, "a namespace within a namespace is not supported");
  put(names.values, std::move(key), std::move(value));
  return {};
}

Result<bool> less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.as_int() < b.as_int();
    return a.as_double() < b.as_double();
  }
  if (a.text() != nullptr && b.text() != nullptr)
    return *a.text() < *b.text();  // UTF-8 sorts as its characters do
  if (a.list() != nullptr && b.list() != nullptr) {
    for (size_t i = 0; i < std::min(a.list()->size(), b.list()->size()); ++i) {
      const Value &x = (*a.list())[i], &y = (*b.list())[i];
      if (!(x == y)) return less(x, y);
    }
    return a.list()->size() < b.list()->size();
  }
  return fail(ErrorCode::kInvalidArgument, "'<' is not defined between {} and {}", a.type_name(),
              b.type_name());
}

Result<std::string> to_json_text(const Value& value, const JsonStyle& style) {
  std::string out;
  if (Status status = append_json(out, value, style, 0); !status) return std::move(status).error();
  return out;
}

}  // namespace volant::jinja
