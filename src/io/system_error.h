// What the operating system refused, as our error.
#pragma once
#include "io/file.h"

namespace volant {
// The error of the call that just failed, from errno:
// kNotFound, kAlreadyExists, or kIo. `doing` completes "cannot ...".
Error system_error(const Path& path, std::string_view doing);
Error system_error(const Path& path, std::string_view doing, int error_number);
}  // namespace volant
