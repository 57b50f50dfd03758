// Runs a template's syntax tree. Work, output and nesting have limits, so any template ends.
#pragma once
#include "text/jinja_ast.h"

namespace volant::jinja {
// Bytes [begin, end) of the text that {% generation %} blocks wrote, in order.
using Marks = std::vector<std::pair<size_t, size_t>>;
// The text that `body` makes of `variables`. Errors name the line. `marks` may be null; with it, a generation
// block inside a macro, a set, filter or call block, or another one is kUnsupported: its place is not known.
Result<std::string> render(const Body& body, const Dict& variables, Marks* marks = nullptr);
}  // namespace volant::jinja
