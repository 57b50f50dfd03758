// Shell completion, written from the commands and flags themselves.
#pragma once
#include <CLI/CLI.hpp>

namespace volant::cli {
// Prints the script for the shell that `volant completion SHELL` named; gives the exit status.
int print_completion(CLI::App& root);
}  // namespace volant::cli
