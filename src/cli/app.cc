#include "cli/app.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/usage_error.h"

namespace volant::cli {
namespace {

constexpr int kExitUsage = 2;

constexpr AddCommand kCommands[] = {
    add_init,     add_run,      add_status, add_data,  add_tokenizer, add_train,    add_eval,
    add_compress, add_serve,    add_chat,   add_embed, add_predict,   add_feedback, add_improve,
    add_promote,  add_rollback, add_trace,  add_runs,  add_models,    add_version,  add_completion,
};

constexpr const char* kAbout =
    "Volant: the large-model flywheel.\n"
    "From raw text to a served model of your own that learns from what its users say.\n";

constexpr const char* kExamples =
    "Examples:\n"
    "  volant init my-model                      a new workspace with a commented volant.toml\n"
    "  volant run my-model                       turn the wheel: do whatever is stale, up to a deployed "
    "model\n"
    "  volant serve my-model                     serve it at http://127.0.0.1:8080, with the console\n"
    "  volant chat --workspace my-model          talk to it here\n"
    "  volant improve my-model                   learn from the corrections that users gave\n"
    "\n"
    "'volant COMMAND --help' tells more of each. Exit status: 0 done, 2 wrong usage, 3 bad input, 4 not "
    "found,\n"
    "5 the environment refused (disk, port, permission), 6 refused by a gate, 130 stopped, 70 a defect of "
    "Volant.";

int run_command(int argc, const char* const* argv) {
  CLI::App root{kAbout, "volant"};
  root.footer(kExamples);
  root.set_version_flag("--version", "volant " + version());
  root.require_subcommand(1);
  root.get_formatter()->column_width(34);
  Action action;
  for (const AddCommand add : kCommands) add(root, action);
  refuse_negative_counts(root);
  try {
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(root.help().c_str(), stdout);  // of the command that was named, if any
    return 0;
  } catch (const CLI::CallForVersion& asked) {
    std::printf("%s\n", asked.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    if (argc < 2) {
      std::fputs(root.help().c_str(), stderr);
      return kExitUsage;
    }
    const UsageError wrong = usage_error(root, error);
    std::fprintf(stderr, "volant: %s\nTry '%s --help'.\n", wrong.message.c_str(), wrong.command.c_str());
    return kExitUsage;
  }
  if (root.get_subcommand("completion")->parsed()) return print_completion(root);
  const Result<int> status = action();
  if (status) return *status;
  std::fflush(stdout);
  std::fprintf(stderr, "volant: %s\n", status.error().to_string().c_str());
  return error_code_info(status.error().code).exit_status;
}

// Whether standard output took everything. A reader that went away (a closed pipe) is no error.
bool output_is_complete() {
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0) return true;
  struct stat about {};
  return ::fstat(STDOUT_FILENO, &about) == 0 && (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode));
}

}  // namespace

int run_app(int argc, const char* const* argv) {
  const int status = run_command(argc, argv);
  if (status != 0 || output_is_complete()) return status;
  std::fprintf(stderr, "volant: standard output: cannot write all of it; is the disk full?\n");
  return error_code_info(ErrorCode::kIo).exit_status;
}

}  // namespace volant::cli
