// `volant init`: a new workspace.
#include <memory>

#include "cli/commands.h"
#include "cli/print.h"
#include "wheel/workspace.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string folder, name;
  bool json = false;
};

Result<int> init(const Flags& flags) {
  const Path folder = std::filesystem::absolute(flags.folder).lexically_normal();
  const Path last = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  TRY(Workspace::init(folder, flags.name.empty() ? last.string() : flags.name));
  const Path file = folder / "volant.toml";
  if (flags.json) {
    print_json(JsonObject{{"workspace", folder.string()}, {"config", file.string()}});
    return 0;
  }
  print_line(
      fmt::format("Made {}.\n\nNext:\n  1. name your text files under [[collect.source]] in that file\n"
                  "  2. volant run {}\n  3. volant serve {}",
                  file.string(), flags.folder, flags.folder));
  return 0;
}

}  // namespace

void add_init(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("init", "Make a new workspace with a commented volant.toml");
  auto flags = std::make_shared<Flags>();
  app->add_option("folder", flags->folder, "Folder of the workspace; made when it is missing")->required();
  app->add_option("--name", flags->name, "Name of the workspace; default: the folder's name");
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer("Examples:\n  volant init my-model\n  volant init . --name poems");
  app->callback([&action, flags] { action = [flags] { return init(*flags); }; });
}

}  // namespace volant::cli
