#include "wheel/launch.h"

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "io/free_port.h"
#include "wheel/trainer.h"

namespace volant {
namespace {

// After one has failed the others notice within ten seconds, and say so.
constexpr auto kPatience = std::chrono::seconds(15);

Error ended_by(const std::string& who, int signal, const Path& job_file) {
  return fail(ErrorCode::kUnavailable,
              "{} was ended by signal {}{}; the same command goes on: volant train --job {}", who, signal,
              signal == SIGKILL ? " (out of memory, or killed by hand)" : "", job_file.string());
}

Result<int> status_of(const ProcessExit& exit, const std::string& who, const Path& job_file) {
  if (exit.status < 0) return ended_by(who, exit.signal, job_file);
  return exit.status;
}

// Processes side by side, each waited for on a thread of its own.
class Group {
 public:
  Status start(const ProcessOptions& options) {
    processes_.push_back(TRY(Process::start(options)));
    return {};
  }

  // The rank that ended first with something else than 0, and how; of none: rank 0 and 0.
  Result<std::pair<size_t, ProcessExit>> wait() {
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < processes_.size(); ++rank)
      threads.emplace_back([this, rank] { ended(rank, processes_[rank].wait()); });
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return failed_ || n_ended_ == processes_.size(); });
      // The others save a checkpoint, or notice what has happened.
      if (!changed_.wait_for(lock, kPatience, [this] { return n_ended_ == processes_.size(); }) && !stopping_)
        for (Process& process : processes_) process.send_signal(SIGKILL);
    }
    for (std::thread& thread : threads) thread.join();
    if (error_) return *error_;
    return first_;
  }

 private:
  void ended(size_t rank, const Result<ProcessExit>& exit) {
    const std::lock_guard lock(mutex_);
    ++n_ended_;
    if (!exit) error_ = exit.error();
    if (exit && exit->status != 0 && !failed_) first_ = {rank, *exit};
    stopping_ = stopping_ || (exit && exit->status == kStoppedStatus);
    failed_ = failed_ || !exit || exit->status != 0;
    changed_.notify_all();
  }

  std::deque<Process> processes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t n_ended_ = 0;
  bool failed_ = false, stopping_ = false;
  std::optional<Error> error_;
  std::pair<size_t, ProcessExit> first_{};
};

Result<int> launch_here(const ProcessOptions& trainer, int n, const Path& job_file) {
  const int port = TRY(free_port());
  Group group;
  for (int rank = 0; rank < n; ++rank) {
    ProcessOptions options = trainer;
    for (const auto& [name, value] : {std::pair("RANK", rank),
                                      {"LOCAL_RANK", rank},
                                      {"WORLD_SIZE", n},
                                      {"LOCAL_WORLD_SIZE", n},
                                      {"MASTER_PORT", port}})
      options.environment[name] = std::to_string(value);
    options.environment["MASTER_ADDR"] = "127.0.0.1";
    TRY(group.start(options));
  }
  const auto [rank, exit] = TRY(group.wait());
  return status_of(exit, fmt::format("rank {} of {}", rank, n), job_file);
}

// `starter` and its options before the trainer's command line. The environment goes with it: MPI gives that
// of this machine to its own children alone.
Result<int> launch_by(std::vector<std::string> starter, int stop_signal, const ProcessOptions& trainer,
                      const Path& job_file) {
  ProcessOptions options = trainer;
  options.stop_signal = stop_signal;
  const std::string name = starter[0];
  options.arguments = std::move(starter);
  options.arguments.emplace_back("env");
  for (const char* variable : {"MASTER_ADDR", "MASTER_PORT", "GLOO_SOCKET_IFNAME"})
    if (const char* value = std::getenv(variable))
      options.arguments.push_back(fmt::format("{}={}", variable, value));
  for (const auto& [variable, value] : trainer.environment)
    options.arguments.push_back(fmt::format("{}={}", variable, value));
  options.arguments.insert(options.arguments.end(), trainer.arguments.begin(), trainer.arguments.end());
  Process process = TRY(Process::start(options));
  return status_of(TRY(process.wait()), name, job_file);
}

}  // namespace

Result<int> launch_trainer(const Path& job_file, const Launch& launch, bool plan_only, const Path& log) {
  const ProcessOptions trainer = TRY(trainer_options(std::filesystem::absolute(job_file), plan_only, log));
  const std::string n = std::to_string(launch.n);
  std::vector<std::string> starter;
  switch (plan_only ? Launch::Kind::kOne : launch.kind) {
    case Launch::Kind::kOne:
      break;
    case Launch::Kind::kLocal:
      return launch_here(trainer, launch.n, job_file);
    case Launch::Kind::kSlurm:
      starter = {"srun", "--kill-on-bad-exit=1"};
      if (launch.n > 0) starter.push_back("--ntasks=" + n);
      return launch_by(std::move(starter), SIGTERM, trainer, job_file);
    case Launch::Kind::kMpi:
      starter = {"mpirun"};
      if (launch.n > 0) starter.insert(starter.end(), {"-np", n});
      return launch_by(std::move(starter), SIGUSR1, trainer, job_file);
  }
  Process process = TRY(Process::start(trainer));
  return status_of(TRY(process.wait()), "volant-train", job_file);
}

}  // namespace volant
