// Template source to syntax tree.
// A statement, filter or test that is not known is kUnsupported, named with its line.
#pragma once
#include "text/jinja_ast.h"

namespace volant::jinja {
Result<Body> parse_template(std::string_view source);
// Whether the evaluator has a filter or test of this name (jinja_filters.cc, jinja_tests.cc).
bool has_filter(std::string_view name);
bool has_test(std::string_view name);
}  // namespace volant::jinja
