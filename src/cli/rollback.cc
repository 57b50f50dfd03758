// `volant rollback`: production goes back to the version before.
#include <memory>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/versions.h"

namespace volant::cli {
namespace {

Result<int> run(const std::string& workspace, bool json) {
  const auto registry = TRY(Registry::open(workspace));
  const auto before = TRY(alias_target(*registry, "production"));
  const ModelVersion now = TRY(rollback(*registry, "cli"));
  if (json) {
    print_json(to_json(now));
  } else {
    print_line(fmt::format("{} is in production again (was {}).", now.version, before.value_or("none")));
  }
  return 0;
}

}  // namespace

void add_rollback(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("rollback", "Bring back the version that was production before");
  auto workspace = std::make_shared<std::string>(default_workspace());
  auto json = std::make_shared<bool>(false);
  app->add_option("workspace", *workspace, "Folder with volant.toml")->capture_default_str();
  app->add_flag("--json", *json, "Print a JSON object");
  app->footer("Examples:\n  volant rollback examples/bilingual");
  app->callback(
      [&action, workspace, json] { action = [workspace, json] { return run(*workspace, *json); }; });
}

}  // namespace volant::cli
