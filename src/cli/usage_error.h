// What is wrong with a command line, in words: which flag, what was expected, what was got, what is near.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace volant::cli {

// The message of a command line that `root` could not parse, and the command that it was about.
struct UsageError {
  std::string message, command;  // "volant eval"
};
UsageError usage_error(CLI::App& root, const CLI::ParseError& error);

// Flags that count from 0 refuse "-1", here and in all subcommands; CLI11 alone takes it for 2^64 - 1.
void refuse_negative_counts(CLI::App& app);

// kInvalidArgument names the first of `flags` that was given: of no use with `with`, it would be ignored.
Status refuse_flags(const CLI::App& app, const std::vector<std::string>& flags, std::string_view with);
// Every flag but `used` is refused.
Status refuse_flags_but(const CLI::App& app, const std::vector<std::string>& used, std::string_view with);

}  // namespace volant::cli
