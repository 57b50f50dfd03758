// Which of how many processes this one is, and where they meet: from the environment that torchrun, Slurm's
// srun and MPI's mpirun give to each process that they start.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"

namespace volant {

struct RankInfo {
  int rank = 0, size = 1;
  int local_rank = 0, local_size = 1;  // among those on this machine
  std::string host;                    // of rank 0
  int port = 0;                        // where rank 0 waits for the others
  // Not empty: torchrun's agent has a store at that port already. Rank 0 waits at one of its own and says in
  // the agent's store, under this key, which.
  std::string agent_key;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> environment_variable(const std::string& name);

// The first of these that is there:
//   RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, LOCAL_RANK, LOCAL_WORLD_SIZE              torchrun
//   OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE                                 Open MPI
//   PMI_RANK, PMI_SIZE, MPI_LOCALRANKID, MPI_LOCALNRANKS                                  MPICH and its kin
//   SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_TASKS_PER_NODE         srun
// MASTER_ADDR and MASTER_PORT count everywhere. Without them Slurm's ranks meet on the first of its nodes,
// MPI's there too or, when all are on one machine, on that; the port follows from the number of the job.
// One process alone where nothing is said. kInvalidArgument names the variable that is missing or no number.
Result<RankInfo> rank_info(const Environment& environment = environment_variable);

// "node03" of Slurm's "node[03-05,9],other"; empty of an empty list.
std::string first_host(const std::string& node_list);
// Of node number `node`: 2 of Slurm's "2(x3),1" for 0 to 2; 0 when there is no such node.
int tasks_of_node(const std::string& tasks_per_node, int node);

// Threads for this process when `wanted` (0: as many as cores it may use) is what the job says: cores are
// divided among the processes of a machine unless somebody has bound each of them to cores of its own.
int threads_of_rank(int wanted, int local_size);

}  // namespace volant
