#include "base/version.h"

#include <cstdio>
#include <memory>

#include "base/json.h"
#include "cli/commands.h"

namespace volant::cli {

void add_version(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("version", "Print the version");
  auto json = std::make_shared<bool>(false);
  app->add_flag("--json", *json, "Print a JSON object");
  app->footer("Examples:\n  volant version\n  volant version --json");
  app->callback([&action, json] {
    action = [json]() -> Result<int> {
      const std::string text = *json ? dump_json(Json{{"version", version()}}) : "volant " + version();
      std::printf("%s\n", text.c_str());
      return 0;
    };
  });
}

}  // namespace volant::cli
