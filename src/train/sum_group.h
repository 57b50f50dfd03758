// Who forms sums over processes: c10d with Gloo, of numbers on the host, and with NCCL, of numbers on GPUs,
// each where volant-train was built with its headers. Only for ranks.cc; it comes after ops/torch/tensor.h.
#pragma once
#include <torch/csrc/api/include/torch/version.h>

#include <torch/csrc/distributed/c10d/Store.hpp>
#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#endif

#include <chrono>

#include "train/rank_info.h"

namespace volant {

// What the processes of one network have in common.
#if TORCH_VERSION_MAJOR >= 2
using SumGroup = c10d::Backend;
#else
using SumGroup = c10d::ProcessGroup;
#endif

// By the network interface that GLOO_SOCKET_IFNAME names, or the one that leads to rank 0. Throws what
// libtorch throws, and std::runtime_error without Gloo.
c10::intrusive_ptr<SumGroup> make_gloo_group(const c10::intrusive_ptr<c10d::Store>& store,
                                             const RankInfo& info, std::chrono::milliseconds timeout);

// Each process uses the first GPU that it sees, one of its own. Throws what libtorch throws, and
// std::runtime_error without NCCL.
c10::intrusive_ptr<SumGroup> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                             std::chrono::milliseconds timeout);

}  // namespace volant
