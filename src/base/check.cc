#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace volant {
void check_failed(const char* condition, const char* file, int line, std::string_view detail) {
  std::fprintf(stderr, "volant: internal error: %s does not hold at %s:%d%s%.*s\n", condition, file, line,
               detail.empty() ? "" : ": ", static_cast<int>(detail.size()), detail.data());
  std::abort();
}
}  // namespace volant
