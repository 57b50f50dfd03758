// The filters of Jinja templates that put lists in order and in groups, and what filters share.
#pragma once
#include "text/jinja_builtins.h"

namespace volant::jinja {

bool flag(const Arguments& a, size_t index, std::string_view name, bool otherwise);
// kInvalidArgument when the argument is there and no integer.
Result<int64_t> integer_or(const Arguments& a, size_t index, std::string_view name, int64_t otherwise);
// `path` of an item: "role", "function.name", or an index.
Result<Value> attribute_of(const Value& item, const Value& path);

Result<Value> sort(const Value& on, const Arguments& a);
Result<Value> dictsort(const Value& on, const Arguments& a);
Result<Value> unique(const Value& on, const Arguments& a);
// Pairs of a value of the attribute and the list of items that have it, in order of the values.
Result<Value> groupby(const Value& on, const Arguments& a);
// Lists of at most `linecount` items; into `slices` lists of like length.
Result<Value> batch(const Value& on, const Arguments& a);
Result<Value> slice(const Value& on, const Arguments& a);

}  // namespace volant::jinja
