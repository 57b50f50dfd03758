// `volant promote`: makes a version production.
#include <memory>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/versions.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string version, workspace = default_workspace(), reason;
  bool force = false, json = false;
};

Result<int> run(const Flags& flags) {
  const auto registry = TRY(Registry::open(flags.workspace));
  const auto before = TRY(alias_target(*registry, "production"));
  const ModelVersion now =
      TRY(promote(*registry, flags.version, {.actor = "cli", .reason = flags.reason, .force = flags.force}));
  if (flags.json) {
    print_json(to_json(now));
  } else if (before == now.version) {
    print_line(now.version + " is in production already.");
  } else {
    print_line(
        fmt::format("{} is in production{}.", now.version, before ? " (before: " + *before + ")" : ""));
  }
  return 0;
}

}  // namespace

void add_promote(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("promote", "Make a version production; a running server takes it up");
  auto flags = std::make_shared<Flags>();
  app->add_option("version", flags->version, "\"v3\", or the alias candidate or canary")->required();
  app->add_option("workspace,--workspace", flags->workspace, "Folder with volant.toml")
      ->capture_default_str();
  app->add_option("--reason", flags->reason, "Why, for the audit log");
  app->add_flag("--force", flags->force, "Though its gate refused; the audit log says so");
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Exit status 6: the gate refused this version.\n\nExamples:\n  volant promote v3\n"
      "  volant promote candidate --workspace examples/bilingual");
  app->callback([&action, flags] { action = [flags] { return run(*flags); }; });
}

}  // namespace volant::cli
