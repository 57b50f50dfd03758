// Looking into values: attributes, items, iteration, membership.
#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/unicode.h"

namespace volant::jinja {

const Value* Arguments::find(size_t index, std::string_view name) const {
  if (index < values.size()) return &values[index];
  for (const auto& [key, value] : keywords)
    if (key == name) return &value;
  return nullptr;
}

Status Arguments::check(size_t most, std::initializer_list<std::string_view> names) const {
  if (values.size() > most)
    return fail(ErrorCode::kInvalidArgument, "expected at most {} arguments, got {}", most, values.size());
  for (const auto& [key, value] : keywords)
    if (std::find(names.begin(), names.end(), key) == names.end())
      return fail(ErrorCode::kUnsupported, "keyword argument '{}' is not supported", key);
  return {};
}

Result<Value> text_value(std::string text) {
  if (text.size() > kMaxTextBytes)
    return fail(ErrorCode::kLimit, "the template makes a text of more than {} bytes", kMaxTextBytes);
  return Value::of(std::move(text));
}

Result<Value> get_attribute(const Value& on, const std::string& name) {
  if (const auto* undefined = on.get<Undefined>())
    return fail(ErrorCode::kInvalidArgument, "'{}' is undefined, so it has no '{}'", undefined->name, name);
  if (const Dict* dict = on.dict())
    if (const Value* found = find(*dict, Value::of(name))) return *found;
  if (const Namespace* names = on.names())
    if (const Value* found = find(names->values, Value::of(name))) return *found;
  // The pairs that groupby gives have names.
  if (const List* list = on.list(); on.is_tuple() && list->size() == 2) {
    if (name == "grouper") return (*list)[0];
    if (name == "list") return (*list)[1];
  }
  return Value::undefined(name);
}

Result<Value> get_item(const Value& on, const Value& key) {
  if (const auto* undefined = on.get<Undefined>())
    return fail(ErrorCode::kInvalidArgument, "'{}' is undefined, so it has no [{}]", undefined->name,
                key.repr());
  if (const Dict* dict = on.dict()) {
    const Value* found = find(*dict, key);
    return found != nullptr ? *found : Value::undefined(key.print());
  }
  if (on.names() != nullptr && key.text() != nullptr) return get_attribute(on, *key.text());
  if (!key.is_integer()) return Value::undefined(key.print());
  int64_t index = key.as_int();
  if (const List* list = on.list()) {
    const auto size = static_cast<int64_t>(list->size());
    index += index < 0 ? size : 0;
    if (index >= 0 && index < size) return (*list)[static_cast<size_t>(index)];
  } else if (const auto* text = on.text()) {
    const auto size = static_cast<int64_t>(count_code_points(*text));
    index += index < 0 ? size : 0;
    if (index < 0 || index >= size) return Value::undefined(key.print());
    size_t pos = 0;
    for (int64_t i = 0; i < index; ++i) next_code_point(*text, pos);
    const size_t begin = pos;
    next_code_point(*text, pos);
    return Value::of(text->substr(begin, pos - begin));
  }
  return Value::undefined(key.print());
}

Result<List> items_of(const Value& on) {
  List items;
  if (const List* list = on.list()) return *list;
  if (const Dict* dict = on.dict()) {
    for (const auto& [key, value] : *dict) items.push_back(key);
    return items;
  }
  if (const auto* text = on.text()) {
    if (text->size() > kMaxListItems)
      return fail(ErrorCode::kLimit, "a loop over more than {} items", kMaxListItems);
    for (size_t pos = 0; pos < text->size();) {
      const size_t begin = pos;
      next_code_point(*text, pos);
      items.push_back(Value::of(text->substr(begin, pos - begin)));
    }
    return items;
  }
  if (on.is_undefined()) return items;
  return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be looped over", on.type_name());
}

Result<bool> contains(const Value& hay, const Value& needle) {
  if (const auto* text = hay.text()) {
    if (needle.text() == nullptr)
      return fail(ErrorCode::kInvalidArgument, "expected a text left of 'in', got {}", needle.type_name());
    return text->find(*needle.text()) != std::string::npos;
  }
  if (const Dict* dict = hay.dict()) return find(*dict, needle) != nullptr;
  if (const List* list = hay.list()) return std::find(list->begin(), list->end(), needle) != list->end();
  if (hay.is_undefined()) return false;
  return fail(ErrorCode::kInvalidArgument, "a value of type {} holds nothing, so 'in' is not defined",
              hay.type_name());
}

}  // namespace volant::jinja
