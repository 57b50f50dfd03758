// Template source to syntax tree.
// A statement, filter or test that is not known is kUnsupported, named with its line.
#pragma once
#include "text/jinja_ast.h"

namespace volant::jinja {
Result<Body> parse_template(std::string_view source);
}  // namespace volant::jinja
