// `volant trace`: where an answer came from, and what came out of a source.
#include <memory>

#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/lineage.h"

namespace volant::cli {
namespace {

constexpr size_t kTextWidth = 90;
constexpr size_t kShortDigest = 12;
constexpr size_t kMaxFiles = 12;

struct Flags {
  std::string id, workspace = default_workspace();
  bool json = false;
};

std::string text_of(const Json& object, const char* key) {
  return json_string_or(object, key, "").value_or("");
}

void print_sources(const Json& trace) {
  const Json* sources = json_find(trace, "sources");
  if (sources == nullptr || !sources->is_array()) return;
  for (const Json& source : sources->as_array()) {
    const JsonArray& files = source.at("files").as_array();
    print_line(fmt::format("source    {} ({} files)", text_of(source, "name"), files.size()));
    for (size_t i = 0; i < files.size() && i < kMaxFiles; ++i) {
      print_line(fmt::format("            {}  {}", text_of(files[i], "digest").substr(0, kShortDigest),
                             text_of(files[i], "path")));
    }
    if (files.size() > kMaxFiles)
      print_line(fmt::format("            and {} more (--json)", files.size() - kMaxFiles));
  }
}

void print_answer(const Json& trace) {
  const Json& answer = trace.at("answer");
  print_line(fmt::format("answer    {} at {}\n          \"{}\"", text_of(answer, "id"),
                         short_time(text_of(answer, "created_at")),
                         one_line(text_of(answer, "answer"), kTextWidth)));
  if (const Json* feedback = json_find(trace, "feedback"); feedback != nullptr && feedback->is_array()) {
    for (const Json& one : feedback->as_array()) {
      print_line(fmt::format("feedback  {} {}", text_of(one, "rating"),
                             one_line(text_of(one, "correction"), kTextWidth)));
    }
  }
  if (const Json* version = json_find(trace, "version")) {
    print_line(fmt::format("version   {} of {}", text_of(*version, "version"),
                           short_time(text_of(*version, "created_at"))));
  }
  if (const Json* run = json_find(trace, "run")) {
    print_line(fmt::format("run       {} ({})", text_of(*run, "id"), text_of(*run, "status")));
  }
  for (const Json& dataset : trace.at("datasets").as_array()) {
    print_line(fmt::format("dataset   {}  {}", text_of(dataset, "digest").substr(0, kShortDigest),
                           text_of(dataset, "kind")));
  }
  print_sources(trace);
}

std::string names(const Json& trace, const char* key) {
  std::string all;
  for (const Json& name : trace.at(key).as_array()) {
    all += (all.empty() ? "" : ", ") + std::string(name.is_string() ? name.as_string().c_str() : "");
  }
  return all.empty() ? "none" : all;
}

void print_forward(const Json& trace) {
  print_line(fmt::format("{:<10}{}", text_of(trace.at("node"), "kind"), text_of(trace.at("node"), "id")));
  print_line("versions  " + names(trace, "versions"));
  print_line("runs      " + names(trace, "runs"));
  print_line(fmt::format("artifacts {}\nanswers   {}", trace.at("artifacts").as_array().size(),
                         json_int_or(trace, "answers", 0).value_or(0)));
  print_sources(trace);
}

Result<int> run(const Flags& flags) {
  const auto registry = TRY(Registry::open(flags.workspace));
  const Json found = TRY(volant::trace(*registry, flags.id));
  if (flags.json) {
    print_json(found);
  } else if (json_find(found, "answer") != nullptr) {
    print_answer(found);
  } else {
    print_forward(found);
  }
  return 0;
}

}  // namespace

void add_trace(CLI::App& root, Action& action) {
  auto* app = root.add_subcommand("trace", "Show where an answer came from, or what came out of a source");
  auto flags = std::make_shared<Flags>();
  app->add_option("id", flags->id, "Answer, version, run, artifact digest, source name or file path")
      ->required();
  app->add_option("workspace,--workspace", flags->workspace, "Folder with volant.toml")
      ->capture_default_str();
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Examples:\n"
      "  volant trace chatcmpl-1f3            answer -> version -> run -> dataset -> sources\n"
      "  volant trace fortunes                every version that learned from this source\n"
      "  volant trace v2 --json");
  app->callback([&action, flags] { action = [flags] { return run(*flags); }; });
}

}  // namespace volant::cli
