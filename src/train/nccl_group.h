// Sums over processes of numbers on GPUs: c10d with NCCL, where volant-train was built with a libtorch that
// has it. Only for ranks.cc; its header comes after ops/torch/tensor.h.
#pragma once
#include <torch/csrc/api/include/torch/version.h>

#include <torch/csrc/distributed/c10d/Store.hpp>
#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#endif

#include <chrono>

namespace volant {

// What the processes of one network have in common.
#if TORCH_VERSION_MAJOR >= 2
using SumGroup = c10d::Backend;
#else
using SumGroup = c10d::ProcessGroup;
#endif

// Each process uses the first GPU that it sees, one of its own. Throws what libtorch throws, and
// std::runtime_error without NCCL.
c10::intrusive_ptr<SumGroup> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                             std::chrono::milliseconds timeout);

}  // namespace volant
