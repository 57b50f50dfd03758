// `volant models`: the versions of a workspace.
#include <fmt/format.h>

#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/audit.h"
#include "registry/versions.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string version, workspace = default_workspace();
  bool json = false, audit = false;
};

std::string gate_word(const Json& gate) {
  if (json_find(gate, "passed") == nullptr) return "-";
  return json_bool_or(gate, "passed", false).value_or(false) ? "passed" : "refused";
}

Result<int> list(Registry& registry, bool json) {
  const auto versions = TRY(list_versions(registry));
  if (json) {
    JsonArray array;
    for (const ModelVersion& version : versions) array.push_back(to_json(version));
    print_json(JsonObject{{"versions", std::move(array)}});
    return 0;
  }
  if (versions.empty()) {
    print_line("No versions yet; 'volant run' makes the first one.");
    return 0;
  }
  Table table({"version", "alias", "when", "judged by", "served", "size", "parent", "gate"});
  for (const ModelVersion& version : versions) {
    table.add({version.version, fmt::format("{}", fmt::join(version.aliases, ", ")),
               short_time(version.created_at), main_metric(version.metrics),
               metric(version.metrics, "served_bits_per_byte", 3),
               format_bytes(static_cast<double>(version.bytes)),
               version.parent.empty() ? "-" : version.parent, gate_word(version.gate)});
  }
  table.print();
  return 0;
}

Result<int> show(Registry& registry, const Flags& flags) {
  const ModelVersion version = TRY(find_version(registry, flags.version));
  if (flags.json) {
    print_json(to_json(version));
    return 0;
  }
  print_line(dump_json_pretty(to_json(version)));
  return 0;
}

// The audit log, after its chain was checked.
Result<int> audit(Registry& registry, bool json) {
  const int64_t rows = TRY(verify_audit(registry));
  const auto entries = TRY(list_audit(registry));
  if (json) {
    JsonArray array;
    for (const AuditEntry& entry : entries) array.push_back(to_json(entry));
    print_json(JsonObject{{"verified", rows}, {"entries", std::move(array)}});
    return 0;
  }
  Table table({"id", "when", "who", "what", "on", ""});
  for (const AuditEntry& entry : entries) {
    constexpr size_t kDetailWidth = 80;
    table.add({std::to_string(entry.id), short_time(entry.created_at), entry.actor, entry.action,
               entry.subject, one_line(dump_json(entry.detail), kDetailWidth)});
  }
  table.print();
  print_line(fmt::format("\n{} rows, unbroken.", rows));
  return 0;
}

Result<int> run(const Flags& flags) {
  const auto registry = TRY(Registry::open(flags.workspace));
  if (flags.audit) return audit(*registry, flags.json);
  return flags.version.empty() ? list(*registry, flags.json) : show(*registry, flags);
}

}  // namespace

void add_models(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("models", "List model versions, show one, or show the audit log");
  auto flags = std::make_shared<Flags>();
  app->add_option("version", flags->version, "\"v3\" or an alias; without it all are listed");
  app->add_option("workspace,--workspace", flags->workspace, "Folder with volant.toml")
      ->capture_default_str();
  app->add_flag("--audit", flags->audit, "Check and show the audit log: promotions, refusals, rollbacks");
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Examples:\n  volant models --workspace examples/bilingual\n  volant models production --json\n"
      "  volant models --audit");
  app->callback([&action, flags] { action = [flags] { return run(*flags); }; });
}

}  // namespace volant::cli
