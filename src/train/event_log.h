// events.jsonl of a run: one JSON line for each step,
// evaluation and checkpoint, for the console and for people.
#pragma once
#include <map>
#include <string>

#include "base/json.h"
#include "io/file.h"

namespace volant {

class EventLog {
 public:
  // Goes on with the file. With `resume_step` (steps done in the checkpoint) later events are cut off; what
  // they said of each step's "progress" is kept in replayed(), so that the curve is walked again as it was.
  static Result<EventLog> open(const Path& path, int64_t resume_step);
  EventLog(EventLog&& other) noexcept;
  EventLog& operator=(EventLog&& other) noexcept;
  ~EventLog();

  // Appends a line; it is with the system when this returns, so a killed process loses nothing.
  Status write(const JsonObject& event);
  // progress by step of the events that were cut off.
  const std::map<int64_t, double>& replayed() const { return replayed_; }

 private:
  EventLog() = default;
  Path path_;
  int fd_ = -1;
  std::map<int64_t, double> replayed_;
};

}  // namespace volant
