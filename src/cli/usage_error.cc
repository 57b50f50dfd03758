#include "cli/usage_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/nearest.h"

namespace volant::cli {
namespace {

constexpr double kNoLimit = 1e300;  // CLI::PositiveNumber goes to the largest double

// The command that the user was in when parsing failed: the deepest subcommand that was recognised.
CLI::App* deepest_parsed(CLI::App* app) {
  for (CLI::App* sub : app->get_subcommands()) {
    if (sub->parsed()) return deepest_parsed(sub);
  }
  return app;
}

std::string path_of(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : path_of(app->get_parent()) + " " + app->get_name();
}

std::vector<std::string> known_words(CLI::App* app, bool flags) {
  std::vector<std::string> words;
  if (flags) {
    for (const CLI::Option* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) words.push_back("--" + name);
    }
  } else {
    for (const CLI::App* sub : app->get_subcommands({})) words.push_back(sub->get_name());
  }
  return words;
}

// What CLI11 could not place, with the nearest word that the command knows; empty: all was placed.
std::string unknown_word(CLI::App& root, CLI::App* app) {
  const std::vector<std::string> extras = app->remaining();
  const std::vector<std::string> all_extras = extras.empty() ? root.remaining(true) : extras;
  if (all_extras.empty()) return "";
  std::string word = all_extras.front();
  word = word.substr(0, word.find('='));
  const bool is_flag = word.starts_with("-");
  const bool is_command = !is_flag && !app->get_subcommands({}).empty();
  return fmt::format("unknown {} '{}'{}",
                     is_flag      ? "flag"
                     : is_command ? "command"
                                  : "argument",
                     word, did_you_mean(word, known_words(app, is_flag)));
}

// `text` around the first `middle`; both empty when it is not there.
std::pair<std::string, std::string> around(const std::string& text, std::string_view middle) {
  const size_t at = text.find(middle);
  if (at == std::string::npos) return {};
  return {text.substr(0, at), text.substr(at + middle.size())};
}

// "Could not convert: --lr = abc"
std::string number_expected(const CLI::App& app, const std::string& told) {
  const auto [name, value] = around(told, " = ");
  const CLI::Option* option = app.get_option_no_throw(name);
  const std::string type = option == nullptr ? "" : option->get_type_name();
  const char* expected = type.starts_with("UINT")  ? "a whole number, 0 or more"
                         : type.starts_with("INT") ? "a whole number within 32 or 64 bits"
                                                   : "a number";
  return fmt::format("{}: expected {}, got '{}'", name, expected, value);
}

// "--top-p: Value 2 not in range 0.000000 to 1.000000"
std::string range_expected(const std::string& told) {
  const auto [head, range] = around(told, " not in range ");
  const auto [name, value] = around(head, ": Value ");
  const auto [low_text, high_text] = around(range, " to ");
  const double low = std::strtod(low_text.c_str(), nullptr), high = std::strtod(high_text.c_str(), nullptr);
  if (high > kNoLimit) return fmt::format("{}: expected a number above {}, got '{}'", name, low, value);
  return fmt::format("{}: expected {} to {}, got '{}'", name, low, high, value);
}

// "--to: q9 not in {f32,f16}"
std::string choice_expected(const std::string& told) {
  auto [head, list] = around(told, " not in {");
  const auto [name, value] = around(head, ": ");
  if (list.ends_with('}')) list.pop_back();
  std::vector<std::string> choices;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    choices.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return fmt::format("{}: expected one of {}, got '{}'{}", name, fmt::join(choices, ", "), value,
                     did_you_mean(value, choices));
}

Status refuse(const CLI::Option& option, std::string_view with) {
  return fail(ErrorCode::kInvalidArgument, "{} is of no use with {}: leave it out", option.get_name(), with);
}

}  // namespace

UsageError usage_error(CLI::App& root, const CLI::ParseError& error) {
  CLI::App* app = deepest_parsed(&root);
  std::string message = unknown_word(root, app);
  if (message.empty()) {
    const std::string told = error.what();
    const std::string to_convert = around(told, "Could not convert: ").second;
    message = !to_convert.empty()                                ? number_expected(*app, to_convert)
              : told.find(" not in range ") != std::string::npos ? range_expected(told)
              : told.find(" not in {") != std::string::npos      ? choice_expected(told)
                                                                 : told;
  }
  return {message, path_of(app)};
}

void refuse_negative_counts(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_name().starts_with("UINT"))
      option->check(CLI::Validator(
          [](const std::string& text) {
            return text.starts_with('-') ? "expected a whole number, 0 or more, got '" + text + "'" : "";
          },
          ""));
  }
  for (CLI::App* sub : app.get_subcommands({})) refuse_negative_counts(*sub);
}

Status refuse_flags(const CLI::App& app, const std::vector<std::string>& flags, std::string_view with) {
  for (const std::string& name : flags) {
    const CLI::Option* option = app.get_option_no_throw(name);
    if (option != nullptr && option->count() > 0) return refuse(*option, with);
  }
  return {};
}

Status refuse_flags_but(const CLI::App& app, const std::vector<std::string>& used, std::string_view with) {
  for (const CLI::Option* option : app.get_options())
    if (option->count() > 0 && std::find(used.begin(), used.end(), option->get_name()) == used.end())
      return refuse(*option, with);
  return {};
}

}  // namespace volant::cli
