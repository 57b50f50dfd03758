// `volant status`: where the wheel stands.
#include "wheel/status.h"

#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"

namespace volant::cli {
namespace {

constexpr size_t kDetailWidth = 110;

std::string text_of(const Json& object, const char* key) {
  return json_string_or(object, key, "").value_or("");
}

std::string version_line(const char* title, const Json* version) {
  if (version == nullptr) return fmt::format("{:<12}none", title);
  const Json* metrics = json_find(*version, "metrics");
  return fmt::format("{:<12}{} of {}, {}", title, text_of(*version, "version"),
                     short_time(text_of(*version, "created_at")),
                     metrics == nullptr ? "-" : main_metric(*metrics));
}

Result<int> show_status(const std::string& folder, bool json) {
  const auto workspace = TRY(Workspace::open(folder));
  const Json status = TRY(wheel_status(*workspace));
  if (json) {
    print_json(status);
    return 0;
  }
  print_line(fmt::format("{:<12}{} ({})", "workspace", workspace->config().name, workspace->path().string()));
  print_line(version_line("production", json_find(status, "production")));
  if (const Json* candidate = json_find(status, "candidate"))
    print_line(version_line("candidate", candidate));
  print_line("");
  Table table({"station", "state", "when", "took", ""});
  for (const Json& station : status.at("stations").as_array()) {
    const double seconds = json_number_or(station, "seconds", 0).value_or(0);
    table.add({text_of(station, "name"), text_of(station, "state"),
               short_time(text_of(station, "updated_at")), seconds > 0 ? format_duration(seconds) : "",
               one_line(text_of(station, "detail"), kDetailWidth)});
  }
  table.print();
  return 0;
}

}  // namespace

void add_status(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("status", "Show where the wheel stands");
  auto folder = std::make_shared<std::string>(default_workspace());
  auto json = std::make_shared<bool>(false);
  app->add_option("workspace", *folder, "Folder with volant.toml")->capture_default_str();
  app->add_flag("--json", *json, "Print a JSON object");
  app->footer(
      "States: fresh, stale, missing, running, failed.\n\nExamples:\n  volant status\n"
      "  volant status examples/bilingual --json");
  app->callback([&action, folder, json] { action = [folder, json] { return show_status(*folder, *json); }; });
}

}  // namespace volant::cli
