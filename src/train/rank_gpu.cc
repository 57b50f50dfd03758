#include "train/rank_gpu.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

namespace volant {
namespace {
constexpr const char* kVisible = "CUDA_VISIBLE_DEVICES";
}  // namespace

Result<std::string> gpu_of_rank(int local_rank, int local_size, const std::optional<std::string>& visible) {
  if (!visible) return std::to_string(local_rank);
  std::vector<std::string> gpus;
  for (size_t begin = 0, end = 0; begin < visible->size(); begin = end + 1) {
    end = std::min(visible->find(',', begin), visible->size());
    gpus.push_back(visible->substr(begin, end - begin));
  }
  if (gpus.size() == 1) return gpus[0];
  if (std::cmp_less(gpus.size(), local_size))
    return fail(ErrorCode::kInvalidArgument,
                "{}='{}': expected a GPU for each of the {} processes on this machine, got {}; start as many "
                "processes as there are GPUs",
                kVisible, *visible, local_size, gpus.size());
  return gpus[static_cast<size_t>(local_rank)];
}

Result<std::string> use_gpu_of_rank(const RankInfo& info) {
  std::string gpu = TRY(gpu_of_rank(info.local_rank, info.local_size, environment_variable(kVisible)));
  ::setenv(kVisible, gpu.c_str(), /*overwrite=*/1);
  return gpu;
}

}  // namespace volant
