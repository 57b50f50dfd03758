// `volant feedback`: what users said, and a way to say it here.
#include "feedback/feedback.h"

#include <memory>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/registry.h"

namespace volant::cli {
namespace {

constexpr size_t kTextWidth = 60;

struct Flags {
  std::string workspace = default_workspace();
  NewFeedback add;
  int64_t limit = 50;
  bool json = false;
};

Result<int> list(const Flags& flags) {
  const auto registry = TRY(Registry::open(flags.workspace));
  const auto all = TRY(list_feedback(*registry, flags.limit));
  if (flags.json) {
    JsonArray array;
    for (const Feedback& feedback : all) array.push_back(to_json(feedback));
    print_json(JsonObject{{"feedback", std::move(array)}});
    return 0;
  }
  if (all.empty()) {
    print_line("No feedback yet. The console and POST /v1/feedback take ratings, corrections and comments.");
    return 0;
  }
  Table table({"id", "when", "answer", "version", "rating", "state", "correction or comment"});
  for (const Feedback& one : all) {
    std::string said = one.correction.empty() ? one.comment : one.correction;
    if (!one.reason.empty()) said += " (" + one.reason + ")";
    table.add({std::to_string(one.id), short_time(one.created_at), one.answer_id, one.version,
               one.rating.empty() ? "-" : one.rating, one.state, one_line(said, kTextWidth)});
  }
  table.print();
  return 0;
}

Result<int> add(const Flags& flags) {
  const auto registry = TRY(Registry::open(flags.workspace));
  const Feedback feedback = TRY(add_feedback(*registry, flags.add));
  if (flags.json) {
    print_json(to_json(feedback));
  } else if (feedback.state == "rejected") {
    print_line(fmt::format("Kept as number {}, but nothing will be learned from it: {}.", feedback.id,
                           feedback.reason));
  } else {
    print_line(fmt::format("Kept as number {}.", feedback.id));
  }
  return 0;
}

}  // namespace

void add_feedback(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("feedback", "List what users said about answers");
  auto flags = std::make_shared<Flags>();
  app->add_option("workspace,--workspace", flags->workspace, "Folder with volant.toml")
      ->capture_default_str();
  app->add_option("--limit", flags->limit, "At most this many, newest first")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Examples:\n"
      "  volant feedback examples/bilingual\n"
      "  volant feedback add chatcmpl-1f3 --correction \"Paris.\"\n"
      "  volant feedback add chatcmpl-1f3 --rating down --comment \"too long\"");
  app->callback([&action, flags, app] {
    if (app->get_subcommands().empty()) action = [flags] { return list(*flags); };
  });
  auto* sub = app->add_subcommand("add", "Say something about an answer");
  sub->add_option("answer", flags->add.answer_id, "Id of the answer, \"chatcmpl-...\"")->required();
  sub->add_option("--rating", flags->add.rating, "up or down")->check(CLI::IsMember({"up", "down"}));
  sub->add_option("--correction", flags->add.correction, "What the answer should have been");
  sub->add_option("--comment", flags->add.comment, "Anything else");
  sub->add_option("--workspace", flags->workspace, "Folder with volant.toml");
  sub->add_flag("--json", flags->json, "Print a JSON object");
  sub->footer("Examples:\n  volant feedback add chatcmpl-1f3 --correction \"Paris.\"");
  sub->callback([&action, flags] { action = [flags] { return add(*flags); }; });
}

}  // namespace volant::cli
