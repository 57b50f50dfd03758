// Which GPU a process of several on its machine uses, and whether they can form sums there.
#pragma once
#include <optional>
#include <string>

#include "train/rank_info.h"

namespace volant {

// Whether volant-train was built with NCCL (nccl_group.h).
bool has_nccl();

// As CUDA_VISIBLE_DEVICES names it, when `visible` is what that says now: of a list the one that is as far on
// as this process among those of its machine, the only one of somebody who has given each process its own
// (Slurm), and the number of the process where nothing is said. kInvalidArgument when the list has fewer than
// processes.
Result<std::string> gpu_of_rank(int local_rank, int local_size, const std::optional<std::string>& visible);

// From now on this process sees that one alone, as the first: before anybody has asked for GPUs. Gives its
// name.
Result<std::string> use_gpu_of_rank(const RankInfo& info);

}  // namespace volant
