#include "server/improve_job.h"

#include <csignal>

#include "base/log.h"
#include "io/process.h"
#include "wheel/status.h"

namespace volant {
namespace {
constexpr size_t kLogLines = 200;
constexpr uint64_t kMaxLogBytes = 4 << 20;
}  // namespace

ImproveJob::ImproveJob(Workspace& workspace, Path program)
    : workspace_(workspace),
      program_(program.empty() ? program_dir() / "volant" : std::move(program)),
      log_file_(workspace.registry().tmp_dir() / "improve.log") {}

ImproveJob::~ImproveJob() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (running_ && pid_ > 0) ::kill(pid_, SIGTERM);
  }
  if (watcher_.joinable()) watcher_.join();
}

Status ImproveJob::start() {
  const std::lock_guard lock(mutex_);
  if (running_) return fail(ErrorCode::kConflict, "an improve is running already; wait for its end");
  if (watcher_.joinable()) watcher_.join();
  TRY(make_dirs(log_file_.parent_path()));
  TRY(volant::remove_all(log_file_));
  running_ = true;
  failure_.clear();
  watcher_ = std::thread([this] { watch(); });
  return {};
}

void ImproveJob::watch() {
  ProcessOptions options;
  options.arguments = {program_.string(), "improve", workspace_.path().string()};
  options.stderr_file = log_file_;
  Result<Process> process = Process::start(options);
  std::string failure;
  if (!process) {
    failure = "cannot start 'volant improve': " + process.error().to_string();
  } else {
    {
      const std::lock_guard lock(mutex_);
      pid_ = process->pid();
      if (stopping_) ::kill(pid_, SIGTERM);
    }
    const Result<ProcessExit> exit = process->wait([&](std::string_view line) {
      if (const Status kept = append_line(log_file_, line); !kept)
        log_warning("{}", kept.error().to_string());
      return true;
    });
    // Exit status 6 is a gate that refused: an answer, not a failure.
    if (!exit) {
      failure = exit.error().to_string();
    } else if (exit->signal != 0) {
      failure = fmt::format("'volant improve' was ended by signal {}", exit->signal);
    } else if (exit->status != 0 && exit->status != 6) {
      failure = fmt::format("'volant improve' ended with status {}", exit->status);
    }
  }
  if (!failure.empty()) log_error("{}", failure);
  const std::lock_guard lock(mutex_);
  running_ = false;
  pid_ = -1;
  failure_ = failure;
}

std::vector<std::string> ImproveJob::log_tail() const {
  std::vector<std::string> lines;
  const Result<std::string> text = read_file(log_file_, kMaxLogBytes);
  if (!text) return lines;
  size_t start = 0;
  for (size_t i = 0; i <= text->size(); ++i) {
    // A progress line redraws itself with '\r': what it said last counts.
    if (i < text->size() && (*text)[i] == '\r') start = i + 1;
    if (i < text->size() && (*text)[i] != '\n') continue;
    if (i > start) lines.push_back(text->substr(start, i - start));
    start = i + 1;
  }
  if (lines.size() > kLogLines)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kLogLines));
  return lines;
}

Result<Json> ImproveJob::status() const {
  Json last = TRY(improve_status(workspace_));
  const std::lock_guard lock(mutex_);
  if (!running_ && failure_.empty()) return last;
  JsonArray log;
  for (const std::string& line : log_tail()) log.push_back(Json(line));
  if (!running_) log.push_back(Json(failure_));
  JsonObject out;
  out["state"] = running_ ? "running" : "failed";
  out["log"] = std::move(log);
  out["result"] = running_ ? Json(JsonObject()) : Json(JsonObject{{"error", failure_}});
  return Json(std::move(out));
}

}  // namespace volant
