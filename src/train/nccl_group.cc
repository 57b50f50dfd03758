// clang-format off: before the other headers of libtorch, which define a CHECK of their own
#include "ops/torch/tensor.h"
// clang-format on
#ifdef VOLANT_NCCL
#pragma push_macro("CHECK")
#undef CHECK
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#pragma pop_macro("CHECK")
#endif

#include <cstdlib>
#include <stdexcept>

#include "train/rank_gpu.h"
#include "train/sum_group.h"

namespace volant {

#ifdef VOLANT_NCCL

bool has_nccl() { return true; }

c10::intrusive_ptr<SumGroup> make_nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                             std::chrono::milliseconds timeout) {
  // Whether the others live is not left to NCCL: it would end the process before anybody has said who is
  // gone.
  for (const char* name : {"TORCH_NCCL_ASYNC_ERROR_HANDLING", "NCCL_ASYNC_ERROR_HANDLING"})
    ::setenv(name, "0", /*overwrite=*/0);
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

#else

bool has_nccl() { return false; }

c10::intrusive_ptr<SumGroup> make_nccl_group(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                             std::chrono::milliseconds) {
  throw std::runtime_error("built without NCCL");
}

#endif

}  // namespace volant
