// The command line as a whole: parses it, runs the chosen command,
// prints errors. Does not know what a command does.
#pragma once

namespace volant::cli {
// Runs `volant ARGUMENTS...` and gives the exit status (see docs/cli.md).
int run_app(int argc, const char* const* argv);
}  // namespace volant::cli
