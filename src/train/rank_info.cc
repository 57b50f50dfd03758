#include "train/rank_info.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/digest.h"

namespace volant {
namespace {

constexpr int kMaxRanks = 65536;
// Ports that follow from a job: below those that systems give to outgoing connections.
constexpr int kFirstPort = 20000, kPorts = 12000;

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  bool has(const char* name) const { return environment_(name).has_value(); }
  std::string text(const char* name) const { return environment_(name).value_or(""); }
  Result<int> number(const char* name, int least, int most) const {
    const std::optional<std::string> text = environment_(name);
    if (!text) return fail(ErrorCode::kInvalidArgument, "expected the environment variable {}", name);
    int value = 0;
    const char* end = text->data() + text->size();
    const auto [at, error] = std::from_chars(text->data(), end, value);
    if (error != std::errc() || at != end || value < least || value > most)
      return fail(ErrorCode::kInvalidArgument, "environment variable {}: expected {} to {}, got '{}'", name,
                  least, most, *text);
    return value;
  }
  Result<int> number_or(const char* name, int least, int most, int otherwise) const {
    return has(name) ? number(name, least, most) : Result<int>(otherwise);
  }

 private:
  const Environment& environment_;
};

struct Names {
  const char *rank, *size, *local_rank, *local_size;
};
constexpr Names kTorchrun{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Names kOpenMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                         "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Names kPmi{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

Result<RankInfo> read(const Reader& reader, const Names& names) {
  RankInfo info;
  info.size = TRY(reader.number(names.size, 1, kMaxRanks));
  info.rank = TRY(reader.number(names.rank, 0, info.size - 1));
  info.local_size = TRY(reader.number_or(names.local_size, 1, info.size, 1));
  info.local_rank = TRY(reader.number_or(names.local_rank, 0, info.local_size - 1, 0));
  return info;
}

// Of a task that srun has started. The batch script itself has SLURM_PROCID too, but is no task of a step.
Result<RankInfo> read_slurm(const Reader& reader) {
  RankInfo info;
  info.size = TRY(reader.number("SLURM_STEP_NUM_TASKS", 1, kMaxRanks));
  info.rank = TRY(reader.number("SLURM_PROCID", 0, info.size - 1));
  const int node = TRY(reader.number_or("SLURM_NODEID", 0, kMaxRanks, 0));
  info.local_size = std::clamp(tasks_of_node(reader.text("SLURM_STEP_TASKS_PER_NODE"), node), 1, info.size);
  info.local_rank = TRY(reader.number_or("SLURM_LOCALID", 0, info.local_size - 1, 0));
  return info;
}

std::string slurm_host(const Reader& reader) {
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"})
    if (reader.has(name)) return first_host(reader.text(name));
  return {};
}

// Another one for every job and step, the same for all its ranks.
int port_of(const Reader& reader) {
  std::string job;
  for (const char* name : {"SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE"}) job += reader.text(name) + "/";
  return kFirstPort + static_cast<int>(std::stoul(sha256_hex(job).substr(0, 7), nullptr, 16) % kPorts);
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Result<RankInfo> rank_info(const Environment& environment) {
  const Reader reader(environment);
  const bool torchrun = reader.has(kTorchrun.rank) || reader.has(kTorchrun.size);
  RankInfo info;
  if (torchrun) {
    info = TRY(read(reader, kTorchrun));
  } else if (reader.has(kOpenMpi.rank)) {
    info = TRY(read(reader, kOpenMpi));
  } else if (reader.has(kPmi.rank) && reader.has(kPmi.size)) {
    info = TRY(read(reader, kPmi));
  } else if (reader.has("SLURM_PROCID") && reader.has("SLURM_STEP_NUM_TASKS")) {
    info = TRY(read_slurm(reader));
  }
  if (info.size == 1) return info;
  info.host = reader.text("MASTER_ADDR");
  if (info.host.empty() && !torchrun) info.host = slurm_host(reader);
  if (info.host.empty() && info.local_size == info.size) info.host = "127.0.0.1";
  if (info.host.empty())
    return fail(ErrorCode::kInvalidArgument,
                "expected the environment variable MASTER_ADDR, the machine of rank 0, where {} processes on "
                "several machines are to meet",
                info.size);
  info.port = torchrun ? TRY(reader.number("MASTER_PORT", 1, 65535))
                       : TRY(reader.number_or("MASTER_PORT", 1, 65535, port_of(reader)));
  if (torchrun && reader.text("TORCHELASTIC_USE_AGENT_STORE") == "True")
    info.agent_key = fmt::format("volant/{}/{}", reader.text("TORCHELASTIC_RUN_ID"),
                                 reader.text("TORCHELASTIC_RESTART_COUNT"));
  return info;
}

std::string first_host(const std::string& node_list) {
  std::string host;
  for (size_t i = 0; i < node_list.size() && node_list[i] != ','; ++i) {
    if (node_list[i] != '[') {
      host += node_list[i];
      continue;
    }
    const size_t close = node_list.find(']', i), end = node_list.find_first_of("-,]", i);
    if (close == std::string::npos) break;
    host += node_list.substr(i + 1, end - i - 1);
    i = close;
  }
  return host;
}

int tasks_of_node(const std::string& tasks_per_node, int node) {
  const char* at = tasks_per_node.data();
  const char* end = at + tasks_per_node.size();
  while (at < end) {
    int tasks = 0, times = 1;
    const auto first = std::from_chars(at, end, tasks);
    if (first.ec != std::errc()) return 0;
    at = first.ptr;
    if (end - at >= 2 && at[0] == '(' && at[1] == 'x') {
      const auto second = std::from_chars(at + 2, end, times);
      if (second.ec != std::errc() || second.ptr == end) return 0;
      at = second.ptr + 1;
    }
    if (node < times) return tasks;
    node -= times;
    if (at < end) ++at;  // ','
  }
  return 0;
}

int threads_of_rank(int wanted, int local_size) {
  if (wanted > 0 || local_size == 1) return wanted;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const int mine = ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  const bool bound = mine * local_size <= static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  return bound ? mine : std::max(1, mine / local_size);
}

}  // namespace volant
