// Operators of templates, with Python's meaning: arithmetic, comparison, slices. Pure functions of values.
#pragma once
#include <string>
#include <vector>

#include "text/jinja_value.h"

namespace volant::jinja {

// a op b, for + - * / // % ** ~.
Result<Value> binary(const std::string& op, const Value& a, const Value& b);
// a op b, for == != < > <= >= in "not in".
Result<bool> compare(const std::string& op, const Value& a, const Value& b);
// Indices of a Python slice over `size` items; a bound that is none is left out.
Result<std::vector<size_t>> slice_indices(int64_t size, const Value& from, const Value& to, const Value& by);

}  // namespace volant::jinja
