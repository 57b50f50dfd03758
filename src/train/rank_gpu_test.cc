#include "train/rank_gpu.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace volant {
namespace {

TEST(GpuOfRank, IsTheOneAsFarOnAsTheProcessOrTheOneThatItWasGiven) {
  EXPECT_EQ(gpu_of_rank(2, 4, std::nullopt).value(), "2");
  EXPECT_EQ(gpu_of_rank(1, 2, "3,5,7").value(), "5");
  EXPECT_EQ(gpu_of_rank(1, 2, "GPU-aa,GPU-bb").value(), "GPU-bb");
  EXPECT_EQ(gpu_of_rank(1, 2, "6").value(), "6");
}

TEST(GpuOfRank, FewerThanProcessesAreAnError) {
  const auto few = gpu_of_rank(2, 3, "0,1");
  ASSERT_FALSE(few);
  EXPECT_THAT(few.error().message, ::testing::HasSubstr("each of the 3 processes on this machine, got 2"));
  EXPECT_FALSE(gpu_of_rank(0, 2, ""));
}

TEST(GpuOfRank, IsTheOnlyOneThatTheProcessSees) {
  ::setenv("CUDA_VISIBLE_DEVICES", "4,7", 1);
  RankInfo info;
  info.local_rank = 1;
  info.local_size = 2;
  EXPECT_EQ(use_gpu_of_rank(info).value(), "7");
  EXPECT_EQ(environment_variable("CUDA_VISIBLE_DEVICES"), "7");
  ::unsetenv("CUDA_VISIBLE_DEVICES");
}

}  // namespace
}  // namespace volant
