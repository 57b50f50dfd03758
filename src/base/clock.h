// Time: wall clock as text for records, a steady clock for measuring.
#pragma once
#include <cstdint>
#include <string>

namespace volant {
// Now, UTC, "2026-11-22T08:27:31.045Z".
std::string now_iso8601();
// Seconds since the Unix epoch.
int64_t now_unix_seconds();
// Seconds on a clock that never goes back; only differences mean anything.
double steady_seconds();
}  // namespace volant
