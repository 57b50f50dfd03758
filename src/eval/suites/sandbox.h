// Runs a Python program that nobody vouches for: a process of its own without network, that sees files
// read-only but for one temporary folder, as nobody, with limits on time, memory, files, processes and
// output. Linux namespaces and rlimits; where they cannot be had the program is refused, unless told
// otherwise. Not a virtual machine: a hole in the kernel is a hole here. It can read what everybody may read.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace volant {

struct SandboxOptions {
  double wall_seconds = 10;
  int cpu_seconds = 10;
  uint64_t memory_bytes = 1ULL << 30;
  uint64_t file_bytes = 16ULL << 20;  // of any one file it writes
  int max_processes = 32;
  size_t output_bytes = 64 << 10;        // kept of what it prints; the rest is thrown away
  bool allow_without_isolation = false;  // limits alone, when the kernel refuses namespaces
};

struct SandboxResult {
  int status = 0;  // exit status; -1 when a signal ended it
  int signal = 0;
  bool timed_out = false;
  bool isolated = false;
  std::string output = {};  // standard output and error together
};

// kUnsupported when the system refuses the isolation (and it was not waived), kNotFound without
// /usr/bin/python3.
Result<SandboxResult> run_python(std::string_view program, const SandboxOptions& options = {});

}  // namespace volant
