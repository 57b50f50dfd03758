// How a launch is written: "local:2", "slurm", "mpi:4". Apart from launch.cc, which starts processes.
#include <charconv>

#include "wheel/launch.h"

namespace volant {

Result<Launch> parse_launch(std::string_view text) {
  constexpr int kMaxProcesses = 1024;
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  Launch launch;
  bool good = text.empty() || kind == "local" || kind == "slurm" || kind == "mpi";
  if (kind == "local") launch.kind = Launch::Kind::kLocal;
  if (kind == "slurm") launch.kind = Launch::Kind::kSlurm;
  if (kind == "mpi") launch.kind = Launch::Kind::kMpi;
  if (colon != std::string_view::npos) {
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, launch.n);
    good = good && error == std::errc() && at == end && launch.n >= 1 && launch.n <= kMaxProcesses;
  } else {
    good = good && kind != "local";
  }
  if (!good)
    return fail(
        ErrorCode::kInvalidArgument,
        "expected \"local:N\", \"slurm\" or \"mpi\" (or \"slurm:N\", \"mpi:N\"), N from 1 to {}, got '{}'",
        kMaxProcesses, text);
  return launch;
}

}  // namespace volant
