// How the processes of one training job are started: one, several on this machine, or by Slurm or MPI on the
// machines that those know.
#pragma once
#include "io/process.h"

namespace volant {

struct Launch {
  enum class Kind { kOne, kLocal, kSlurm, kMpi };
  Kind kind = Kind::kOne;
  int n = 0;  // processes; 0: as many as Slurm or MPI give
};

// "" | "local:N" | "slurm" | "slurm:N" | "mpi" | "mpi:N", N from 1 to 1024; kInvalidArgument for anything
// else.
Result<Launch> parse_launch(std::string_view text);

// Starts volant-train on `job_file` and waits for it: exit status 0, 130 after a stop request, which is
// handed on (a checkpoint is saved), or that of the process that failed first. Of local processes the others
// are ended when one has failed and they do not end by themselves. `plan_only`: by one process. kNotFound
// when volant-train, srun or mpirun is not there; kUnavailable names the rank that a signal ended.
// What they write on standard error goes to `log`; empty: ours.
Result<int> launch_trainer(const Path& job_file, const Launch& launch, bool plan_only = false,
                           const Path& log = {});

}  // namespace volant
