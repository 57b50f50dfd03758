#include "train/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

namespace volant {
namespace {

// Whether an event belongs to the first `step` steps. The evaluation and the checkpoint of step `step` itself
// are done again (the checkpoint is written first).
bool belongs(const Json& event, int64_t step) {
  const std::string type = json_string_or(event, "type", "").value_or("");
  const int64_t at = json_int_or(event, "step", 0).value_or(0);
  if (type == "start") return true;
  if (type == "step") return at <= step;
  return type != "end" && at < step;
}

}  // namespace

Result<EventLog> EventLog::open(const Path& path, int64_t resume_step) {
  EventLog log;
  log.path_ = path;
  std::string kept;
  if (resume_step > 0 && std::filesystem::exists(path)) {
    std::istringstream lines(TRY(read_file(path)));
    for (std::string line; std::getline(lines, line);) {
      const auto event = parse_json(line);
      if (!event || !event->is_object())
        continue;  // the line that was being written when the process was killed
      if (belongs(*event, resume_step)) {
        kept += line + "\n";
      } else if (json_find(*event, "progress") != nullptr) {
        log.replayed_[json_int_or(*event, "step", 0).value_or(0)] =
            json_number_or(*event, "progress", 0).value_or(0);
      }
    }
  }
  TRY(write_file_atomic(path, kept));
  log.fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (log.fd_ < 0) return fail(ErrorCode::kIo, "cannot append: {}", std::strerror(errno)).at(path.string());
  return log;
}

EventLog::EventLog(EventLog&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      replayed_(std::move(other.replayed_)) {}
EventLog& EventLog::operator=(EventLog&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(replayed_, other.replayed_);
  return *this;
}
EventLog::~EventLog() {
  if (fd_ >= 0) ::close(fd_);
}

Status EventLog::write(const JsonObject& event) {
  const std::string line = dump_json(event) + "\n";
  if (::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return {};
  return fail(ErrorCode::kIo, "cannot append an event: {}", std::strerror(errno)).at(path_.string());
}

}  // namespace volant
