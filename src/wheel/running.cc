#include "wheel/running.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

namespace volant {
namespace {
Path mark_file(const Registry& registry) { return registry.state_dir() / "running.json"; }
}  // namespace

Result<RunningMark> RunningMark::set(const Registry& registry, const std::string& station,
                                     const std::string& run_id) {
  const Path file = mark_file(registry);
  TRY(write_file_atomic(file, dump_json(JsonObject{{"pid", static_cast<int64_t>(::getpid())},
                                                   {"station", station},
                                                   {"run_id", run_id},
                                                   {"since", now_iso8601()}})));
  return RunningMark(file);
}

RunningMark::~RunningMark() {
  std::error_code ignored;
  if (!file_.empty()) std::filesystem::remove(file_, ignored);
}

std::optional<Running> find_running(const Registry& registry) {
  constexpr uint64_t kMaxBytes = 4096;
  const auto text = read_file(mark_file(registry), kMaxBytes);
  if (!text) return std::nullopt;
  const auto mark = parse_json(*text);
  if (!mark) return std::nullopt;
  const int64_t pid = json_int_or(*mark, "pid", 0).value_or(0);
  if (pid <= 1 || ::kill(static_cast<pid_t>(pid), 0) != 0) return std::nullopt;
  return Running{json_string_or(*mark, "station", "").value_or(""),
                 json_string_or(*mark, "since", "").value_or(""),
                 json_string_or(*mark, "run_id", "").value_or("")};
}

}  // namespace volant
