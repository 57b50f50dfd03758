#include "text/jinja_list_filters.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/unicode.h"

namespace volant::jinja {

bool flag(const Arguments& a, size_t index, std::string_view name, bool otherwise) {
  const Value* value = a.find(index, name);
  return value == nullptr ? otherwise : value->truth();
}

Result<int64_t> integer_or(const Arguments& a, size_t index, std::string_view name, int64_t otherwise) {
  const Value* value = a.find(index, name);
  if (value == nullptr || value->is_none()) return otherwise;
  if (!value->is_integer())
    return fail(ErrorCode::kInvalidArgument, "expected an integer {}, got {}", name, value->type_name());
  return value->as_int();
}

Result<Value> attribute_of(const Value& item, const Value& path) {
  if (!path.text()) return get_item(item, path);
  Value at = item;
  std::string_view rest = *path.text();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string name(rest.substr(0, dot));
    const bool number =
        !name.empty() && name.find_first_not_of("0123456789") == std::string::npos && name.size() < 10;
    at = number ? TRY(get_item(at, Value::of(int64_t{std::stoi(name)}))) : TRY(get_attribute(at, name));
    if (dot == std::string_view::npos) return at;
    rest = rest.substr(dot + 1);
  }
}

namespace {

// Sorts stably by a key; texts without regard to case unless `case_sensitive`.
Result<List> sorted(List list, const std::vector<Value>& keys_in, bool case_sensitive, bool reverse) {
  std::vector<Value> keys = keys_in;
  if (!case_sensitive)
    for (Value& key : keys)
      if (key.text()) key = Value::of(to_lower(*key.text()));
  std::vector<size_t> order(list.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::optional<Error> error;
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) {
    const Result<bool> got = reverse ? less(keys[j], keys[i]) : less(keys[i], keys[j]);
    if (!got && !error) error = got.error();
    return got ? *got : false;
  });
  if (error) return *error;
  List out;
  for (const size_t i : order) out.push_back(list[i]);
  return out;
}

}  // namespace

Result<Value> sort(const Value& on, const Arguments& a) {
  if (Status status = a.check(3, {"reverse", "case_sensitive", "attribute"}); !status)
    return std::move(status).error();
  const List list = TRY(items_of(on));
  const Value* attribute = a.find(2, "attribute");
  std::vector<Value> keys;
  for (const Value& item : list)
    keys.push_back(attribute == nullptr ? item : TRY(attribute_of(item, *attribute)));
  return Value::of(
      TRY(sorted(list, keys, flag(a, 1, "case_sensitive", false), flag(a, 0, "reverse", false))));
}

Result<Value> dictsort(const Value& on, const Arguments& a) {
  if (Status status = a.check(3, {"case_sensitive", "by", "reverse"}); !status)
    return std::move(status).error();
  if (on.dict() == nullptr)
    return fail(ErrorCode::kInvalidArgument, "expected a dictionary, got {}", on.type_name());
  const Value* by = a.find(1, "by");
  const bool by_value = by != nullptr && by->print() == "value";
  List rows;
  std::vector<Value> keys;
  for (const auto& [key, value] : *on.dict()) {
    rows.push_back(Value::tuple(List{key, value}));
    keys.push_back(by_value ? value : key);
  }
  return Value::of(
      TRY(sorted(rows, keys, flag(a, 0, "case_sensitive", false), flag(a, 2, "reverse", false))));
}

Result<Value> unique(const Value& on, const Arguments& a) {
  if (Status status = a.check(2, {"case_sensitive", "attribute"}); !status) return std::move(status).error();
  const Value* attribute = a.find(1, "attribute");
  constexpr size_t kMaxUnique = 10'000;
  List out, keys;
  for (const Value& item : TRY(items_of(on))) {
    Value key = attribute == nullptr ? item : TRY(attribute_of(item, *attribute));
    if (key.text() && !flag(a, 0, "case_sensitive", false)) key = Value::of(to_lower(*key.text()));
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    if (keys.size() == kMaxUnique) return fail(ErrorCode::kLimit, "more than {} different items", kMaxUnique);
    keys.push_back(std::move(key));
    out.push_back(item);
  }
  return Value::of(std::move(out));
}

Result<Value> groupby(const Value& on, const Arguments& a) {
  TRY(a.check(3, {"attribute", "default", "case_sensitive"}));
  const Value *attribute = a.find(0, "attribute"), *otherwise = a.find(1, "default");
  if (attribute == nullptr) return fail(ErrorCode::kInvalidArgument, "expected the name of an attribute");
  const bool case_sensitive = flag(a, 2, "case_sensitive", false);
  const auto key_of = [&](const Value& item) -> Result<Value> {
    Value key = TRY(attribute_of(item, *attribute));
    if (key.is_undefined() && otherwise != nullptr) key = *otherwise;
    return key;
  };
  const auto folded = [&](Value key) {
    return !case_sensitive && key.text() ? Value::of(to_lower(*key.text())) : std::move(key);
  };
  const List list = TRY(items_of(on));
  std::vector<Value> keys;
  for (const Value& item : list) keys.push_back(TRY(key_of(item)));
  List groups, group;
  for (const Value& item : TRY(sorted(list, keys, case_sensitive, false))) {
    if (!group.empty() && !(folded(TRY(key_of(group[0]))) == folded(TRY(key_of(item))))) {
      Value key = TRY(key_of(group[0]));
      groups.push_back(Value::tuple({std::move(key), Value::of(std::exchange(group, {}))}));
    }
    group.push_back(item);
  }
  if (!group.empty()) {
    Value key = TRY(key_of(group[0]));
    groups.push_back(Value::tuple({std::move(key), Value::of(std::move(group))}));
  }
  return Value::of(std::move(groups));
}

Result<Value> batch(const Value& on, const Arguments& a) {
  TRY(a.check(2, {"linecount", "fill_with"}));
  const int64_t size = TRY(integer_or(a, 0, "linecount", 0));
  const Value* fill = a.find(1, "fill_with");
  if (size < 1 || size > static_cast<int64_t>(kMaxListItems))
    return fail(ErrorCode::kInvalidArgument, "expected a linecount from 1 to {}, got {}", kMaxListItems,
                size);
  List lines, line;
  for (const Value& item : TRY(items_of(on))) {
    line.push_back(item);
    if (static_cast<int64_t>(line.size()) == size) lines.push_back(Value::of(std::exchange(line, {})));
  }
  if (!line.empty()) {
    if (fill != nullptr && !fill->is_none()) line.resize(static_cast<size_t>(size), *fill);
    lines.push_back(Value::of(std::move(line)));
  }
  return Value::of(std::move(lines));
}

Result<Value> slice(const Value& on, const Arguments& a) {
  TRY(a.check(2, {"slices", "fill_with"}));
  const int64_t n = TRY(integer_or(a, 0, "slices", 0));
  const Value* fill = a.find(1, "fill_with");
  const List items = TRY(items_of(on));
  if (n < 1 || n > static_cast<int64_t>(kMaxListItems))
    return fail(ErrorCode::kInvalidArgument, "expected slices from 1 to {}, got {}", kMaxListItems, n);
  const size_t count = static_cast<size_t>(n), each = items.size() / count, longer = items.size() % count;
  List slices;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t end = at + each + (i < longer ? 1 : 0);
    List part(items.begin() + static_cast<int64_t>(at), items.begin() + static_cast<int64_t>(end));
    if (fill != nullptr && !fill->is_none() && longer > 0 && i >= longer) part.push_back(*fill);
    slices.push_back(Value::of(std::move(part)));
    at = end;
  }
  return Value::of(std::move(slices));
}

}  // namespace volant::jinja
