// `volant run`: turns the wheel once.
#include "wheel/run.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"

namespace volant::cli {
namespace {

constexpr int kNameWidth = 10;
constexpr int kTimeWidth = 9;

struct Flags {
  std::string workspace = default_workspace(), until;
  std::vector<std::string> force;
  bool dry_run = false, json = false;
};

std::string line_of(const StationResult& station, bool dry_run) {
  const std::string time = station.fresh ? "fresh" : dry_run ? "stale" : format_duration(station.seconds);
  return fmt::format("{:<{}}{:<{}}{}", station.name, kNameWidth, time, kTimeWidth, station.detail);
}

void print_outcome(const RunReport& report) {
  if (report.refused) {
    print_line(fmt::format("\n{} was not promoted; {} stays in production:", report.version,
                           report.production.empty() ? "nothing" : report.production));
    for (const std::string& reason : report.reasons) print_line("  - " + reason);
  } else if (!report.production.empty() && !report.version.empty()) {
    print_line(fmt::format("\n{} is in production.", report.production));
  }
}

Result<int> run(const Flags& flags) {
  const auto workspace = TRY(Workspace::open(flags.workspace));
  RunOptions options;
  options.until = flags.until;
  options.force.insert(flags.force.begin(), flags.force.end());
  options.dry_run = flags.dry_run;
  // People read the lines on standard output; a script that asked for JSON gets nothing else there.
  std::FILE* const lines = flags.json ? stderr : stdout;
  options.on_start = [](const std::string& name) { std::fprintf(stderr, "%s ...\n", name.c_str()); };
  options.on_station = [&](const StationResult& station) {
    std::fprintf(lines, "%s\n", line_of(station, flags.dry_run).c_str());
    std::fflush(lines);
  };
  const RunReport report = TRY(run_wheel(*workspace, options));
  if (flags.json) {
    print_json(to_json(report));
  } else {
    print_outcome(report);
  }
  const bool refused_now = report.refused && report.deployed_now;
  return refused_now ? error_code_info(ErrorCode::kRefused).exit_status : 0;
}

}  // namespace

void add_run(CLI::App& root, Action& action) {
  auto* app =
      root.add_subcommand("run", "Turn the wheel: collect, prepare, train, evaluate, compress, deploy");
  auto flags = std::make_shared<Flags>();
  app->add_option("workspace", flags->workspace, "Folder with volant.toml")->capture_default_str();
  app->add_option("--until", flags->until, "Stop after this station");
  app->add_option("--force", flags->force,
                  "Do this station again though it is fresh; may be given several times")
      ->take_all();
  app->add_flag("--dry-run", flags->dry_run, "Say what is stale and do nothing");
  app->add_flag("--json", flags->json, "Print a JSON object");
  app->footer(
      "Only what is stale is done: a station whose input files, settings and code are the same is fresh.\n"
      "Stopped with Ctrl-C or killed, the same command goes on from there.\n"
      "Exit status 6: the gate refused the new model.\n\n"
      "Examples:\n"
      "  volant run                          in the folder of the workspace\n"
      "  volant run examples/bilingual\n"
      "  volant run --until prepare          look at the data before training\n"
      "  volant run --force train            train again");
  app->callback([&action, flags] { action = [flags] { return run(*flags); }; });
}

}  // namespace volant::cli
