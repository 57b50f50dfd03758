// A TCP port of this machine that nobody listens on at the moment.
#pragma once
#include "base/result.h"

namespace volant {
// Somebody else may take it before the caller does.
Result<int> free_port();
}  // namespace volant
