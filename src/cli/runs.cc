// `volant runs`: what was done when, and the curve of one run.
#include "registry/runs.h"

#include <fmt/format.h>

#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"

namespace volant::cli {
namespace {

constexpr size_t kSummaryWidth = 80;

struct Flags {
  std::string run, workspace = default_workspace();
  int64_t limit = 30;
  bool json = false;
};

// The plain values of a summary: "documents 5312, files 66".
std::string summary_line(const Json& summary) {
  if (!summary.is_object()) return "";
  std::string line;
  for (const auto& [key, value] : summary.as_object()) {
    if (value.is_object() || value.is_array() || value.is_null()) continue;
    const std::string text = value.is_string()   ? std::string(value.as_string())
                             : value.is_double() ? fmt::format("{:.4g}", value.as_double())
                                                 : dump_json(value);
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", std::string_view(key), text);
  }
  return one_line(line, kSummaryWidth);
}

Result<int> list(Registry& registry, const Flags& flags) {
  const auto runs = TRY(list_runs(registry, flags.limit));
  if (flags.json) {
    JsonArray array;
    for (const Run& run : runs) array.push_back(to_json(run));
    print_json(JsonObject{{"runs", std::move(array)}});
    return 0;
  }
  Table table({"run", "kind", "status", "when", "took", ""});
  for (const Run& run : runs) {
    table.add({run.id, run.kind, run.status, short_time(run.created_at), format_duration(run.seconds),
               summary_line(run.summary)});
  }
  table.print();
  return 0;
}

std::string number(const Json& event, const char* key, int digits) {
  const Json* value = json_find(event, key);
  return value == nullptr || !value->is_number() ? ""
                                                 : fmt::format("{:.{}f}", value->to_number<double>(), digits);
}

Result<int> show(Registry& registry, const Flags& flags) {
  constexpr size_t kMaxLines = 25;
  const Run run = TRY(find_run(registry, flags.run));
  const JsonArray events = TRY(run_events(registry, flags.run));
  if (flags.json) {
    print_json(JsonObject{{"run", to_json(run)}, {"events", events}});
    return 0;
  }
  print_line(fmt::format("{}  {}  {}  {}", run.id, run.status, short_time(run.created_at),
                         format_duration(run.seconds)));
  print_line(summary_line(run.summary));
  std::vector<const Json*> steps;
  for (const Json& event : events) {
    const std::string type = json_string_or(event, "type", "").value_or("");
    if (type == "step" || type == "eval") steps.push_back(&event);
  }
  if (steps.empty()) return 0;
  Table table({"step", "loss", "lr", "tokens/s", "bits/byte"});
  const size_t every = (steps.size() + kMaxLines - 1) / kMaxLines;
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool is_eval = json_find(*steps[i], "bits_per_byte") != nullptr;
    if (i % every != 0 && i + 1 != steps.size() && !is_eval) continue;
    table.add({number(*steps[i], "step", 0), number(*steps[i], "loss", 4), number(*steps[i], "lr", 6),
               number(*steps[i], "tokens_per_second", 0), number(*steps[i], "bits_per_byte", 4)});
  }
  table.print();
  return 0;
}

Result<int> run_command(const Flags& flags) {
  const auto registry = TRY(Registry::open(flags.workspace));
  return flags.run.empty() ? list(*registry, flags) : show(*registry, flags);
}

}  // namespace

void add_runs(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("runs", "List runs, or show the curve of one");
  auto flags = std::make_shared<Flags>();
  app->add_option("run", flags->run, "Id of a run; without it all are listed");
  app->add_option("workspace,--workspace", flags->workspace, "Folder with volant.toml")
      ->capture_default_str();
  app->add_option("--limit", flags->limit, "At most this many, newest first")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Examples:\n"
      "  volant runs --workspace examples/bilingual\n"
      "  volant runs train-20261122-091502-3f9a --json");
  app->callback([&action, flags] { action = [flags] { return run_command(*flags); }; });
}

}  // namespace volant::cli
