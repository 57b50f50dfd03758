// volant-train: one training job from job.json. Exit status 0 finished, 130 stopped by a signal with a
// checkpoint saved, otherwise that of the error.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/stop.h"
#include "base/version.h"
#include "train/trainer.h"

namespace {

constexpr const char* kUsage =
    "usage: volant-train --job FILE [--plan]\n"
    "\n"
    "Trains what job.json says and writes events.jsonl, checkpoints/ and model/ beside it.\n"
    "Stopped or killed, the same command goes on from the last checkpoint.\n"
    "`volant train` writes such a file and starts this program.\n"
    "Started several times by torchrun, srun or mpirun, the processes train together.\n"
    "\n"
    "  --job FILE   the job\n"
    "  --plan       say what it would do (data, memory, time) and end\n"
    "  --version    print the version\n"
    "  --help       print this\n";

// The group never comes back, and neither does what waits in it: the process ends as if it was killed.
void end_alone(const volant::Error& error) {
  std::fprintf(stderr, "volant-train: %s; the same command goes on from the last checkpoint\n",
               error.to_string().c_str());
  std::_Exit(volant::error_code_info(error.code).exit_status);
}

int usage_error(const char* what) {
  std::fprintf(stderr, "volant-train: %s\n%s", what, kUsage);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  volant::Path job;
  bool plan_only = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") return std::fputs(kUsage, stdout), 0;
    if (argument == "--version") return std::printf("volant-train %s\n", volant::version().c_str()), 0;
    if (argument == "--plan") {
      plan_only = true;
    } else if (argument.starts_with("--job=")) {
      job = argument.substr(6);
    } else if (argument == "--job" && i + 1 < argc) {
      job = argv[++i];
    } else {
      return usage_error("expected --job FILE");
    }
  }
  if (job.empty()) return usage_error("expected --job FILE");
  volant::install_stop_handler();
  // What Slurm sends before a time limit on request, and Open MPI's mpirun passes on to its ranks.
  std::signal(SIGUSR1, [](int) { volant::request_stop(); });
  const auto outcome = volant::run_training(job, plan_only, end_alone);
  if (!outcome) {
    std::fprintf(stderr, "volant-train: %s\n", outcome.error().to_string().c_str());
    return volant::error_code_info(outcome.error().code).exit_status;
  }
  return *outcome == volant::TrainOutcome::kStopped ? 130 : 0;
}
