// The workspace that a command works in when none is named.
#pragma once
#include <string>

namespace volant::cli {
// This folder or the nearest one above it with a volant.toml; else the only workspace in the two levels below
// that has been run (so `volant chat` in a clone finds examples/bilingual); else ".".
const std::string& default_workspace();
}  // namespace volant::cli
