// Runs a template's syntax tree. Work, output and nesting have limits, so any template ends.
#pragma once
#include "text/jinja_ast.h"

namespace volant::jinja {
// The text that `body` makes of `variables`. Errors name the line.
Result<std::string> render(const Body& body, const Dict& variables);
}  // namespace volant::jinja
