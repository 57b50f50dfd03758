// Which station is at work now, for other processes to see:
// `.volant/running.json` with the pid of the one at work.
#pragma once
#include <optional>
#include <string>

#include "registry/registry.h"

namespace volant {

struct Running {
  std::string station, since, run_id;
};

// Says so while it lives.
class RunningMark {
 public:
  static Result<RunningMark> set(const Registry& registry, const std::string& station,
                                 const std::string& run_id);
  RunningMark(RunningMark&& other) noexcept : file_(std::move(other.file_)) { other.file_.clear(); }
  RunningMark& operator=(RunningMark&&) = delete;
  ~RunningMark();

 private:
  explicit RunningMark(Path file) : file_(std::move(file)) {}
  Path file_;
};

// Nothing when no station is at work, or the process that said so is gone.
std::optional<Running> find_running(const Registry& registry);

}  // namespace volant
