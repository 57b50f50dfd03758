// CHECK: for broken invariants of our own code, never reachable from input. Prints the
// condition and its place, then aborts.
#pragma once
#include <string_view>

namespace volant {
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               std::string_view detail = {});
}  // namespace volant

#define CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::volant::check_failed(#condition, __FILE__, __LINE__))
