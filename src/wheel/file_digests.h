// Digests of the user's own files, remembered by size and time
// of change so that a second `volant run` reads none of them.
#pragma once
#include <string>

#include "registry/registry.h"

namespace volant {
// SHA-256 of the file; `cheap`: only when it is remembered, else a text that no digest equals.
Result<std::string> cached_digest(Registry& registry, const Path& file, bool cheap);
}  // namespace volant
