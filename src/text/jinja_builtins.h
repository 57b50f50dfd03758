// What Jinja templates can call: functions, filters, tests, methods of texts, lists and dictionaries.
// They know values, not the template.
#pragma once
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace volant::jinja {

inline constexpr size_t kMaxTextBytes = 16U << 20;  // of one text that a template makes
inline constexpr size_t kMaxListItems = 1'000'000;

struct Arguments {
  std::vector<Value> values;
  std::vector<std::pair<std::string, Value>> keywords;
  // The argument at `index` or called `name`; nullptr when it was not given.
  const Value* find(size_t index, std::string_view name) const;
  // kInvalidArgument when there are more than `most` or a keyword that is not in `names`.
  Status check(size_t most, std::initializer_list<std::string_view> names = {}) const;
};

bool has_filter(std::string_view name);
bool has_test(std::string_view name);
bool has_function(std::string_view name);
Result<Value> apply_filter(std::string_view name, const Value& on, const Arguments& arguments);
Result<bool> apply_test(std::string_view name, const Value& on, const Arguments& arguments);
Result<Value> call_function(std::string_view name, const Arguments& arguments);
// `on.name(...)`; kUnsupported when values of this type have no such method here.
Result<Value> call_method(const Value& on, const std::string& name, const Arguments& arguments);

// `on.name` and `on[key]`: an undefined value when there is none; an error on an undefined `on`.
Result<Value> get_attribute(const Value& on, const std::string& name);
Result<Value> get_item(const Value& on, const Value& key);
// What a loop over `on` gives: items of a list, keys of a dictionary,
// characters of a text; nothing of an undefined value.
Result<List> items_of(const Value& on);
// `needle in hay`.
Result<bool> contains(const Value& hay, const Value& needle);
Result<Value> text_value(std::string text);  // kLimit when it is too long

}  // namespace volant::jinja
