// `volant improve`: learn from corrections.
#include "wheel/improve.h"

#include <cstdio>
#include <memory>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"

namespace volant::cli {
namespace {

struct Flags {
  std::string workspace = default_workspace();
  bool dry_run = false, json = false;
};

// What was asked, as people read it; pictures are not for terminals.
std::string shown(const std::string& question) {
  const Result<Json> input = parse_json(question);
  if (!input || !input->is_object()) return question;
  if (json_find(*input, "image") != nullptr) return "a picture";
  if (input->as_object().size() > 1) return question;
  return json_string_or(*input, "text", question).value_or(question);
}

void print_examples(const Json& report) {
  constexpr size_t kWidth = 70;
  const Json* examples = json_find(report, "examples");
  if (examples == nullptr || !examples->is_array() || examples->as_array().empty()) return;
  const auto text = [](const Json& example, const char* key) {
    return one_line(json_string_or(example, key, "").value_or(""), kWidth);
  };
  for (const Json& example : examples->as_array()) {
    const bool held_out = json_bool_or(example, "held_out", false).value_or(false);
    print_line(fmt::format("\n  asked   {}{}\n  before  {}\n  after   {}\n  wanted  {}",
                           one_line(shown(json_string_or(example, "question", "").value_or("")), kWidth),
                           held_out ? "  (held out)" : "", text(example, "before"), text(example, "after"),
                           text(example, "correction")));
  }
}

Result<int> run(const Flags& flags) {
  const auto workspace = TRY(Workspace::open(flags.workspace));
  ImproveOptions options;
  options.dry_run = flags.dry_run;
  std::FILE* const lines = flags.json ? stderr : stdout;
  options.on_line = [lines](const std::string& line) {
    std::fprintf(lines, "%s\n", line.c_str());
    std::fflush(lines);
  };
  const Json report = TRY(volant::improve(*workspace, options));
  if (flags.json) {
    print_json(report);
  } else {
    print_examples(report);
  }
  const bool refused = json_string_or(report, "state", "").value_or("") == "refused";
  return refused ? error_code_info(ErrorCode::kRefused).exit_status : 0;
}

}  // namespace

void add_improve(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("improve", "Learn from the corrections that users gave");
  auto flags = std::make_shared<Flags>();
  app->add_option("workspace", flags->workspace, "Folder with volant.toml")->capture_default_str();
  app->add_flag("--dry-run", flags->dry_run, "Say what would be learned and do nothing");
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Corrections become training rows, a candidate is trained from production, and the gate decides:\n"
      "promoted when it learned them and is no worse on the held-out documents. 'volant rollback' brings\n"
      "the old version back. Exit status 6: the gate refused.\n\n"
      "Examples:\n"
      "  volant improve examples/bilingual\n"
      "  volant improve --dry-run");
  app->callback([&action, flags] { action = [flags] { return run(*flags); }; });
}

}  // namespace volant::cli
