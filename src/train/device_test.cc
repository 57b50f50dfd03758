// Where a run computes: in libtorch's words, as on a GPU, it gives the curve of the kernels and goes on from
// its checkpoints; a device that is not there is refused.
#include <gmock/gmock.h>

#include <cstdlib>

#include "train/test_stories.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

class Device : public testing::StoryRuns {
 protected:
  void TearDown() override { ::unsetenv("VOLANT_TRAIN_ISA"); }
  static std::vector<double> losses_of(const Path& run) {
    std::vector<double> losses;
    for (const Json& event : testing::TrainRuns::events(run))
      if (json_string(event, "type").value() == "step") losses.push_back(json_number(event, "loss").value());
    return losses;
  }
};

TEST_F(Device, InLibtorchsWordsARunHasTheCurveOfTheKernels) {
  JsonObject short_job = job();
  short_job["steps"] = 12;
  short_job["dtype"] = "f32";
  const Path kernels = make_run("kernels", short_job);
  ASSERT_EQ(finish(kernels).status, 0) << testing::TrainRuns::errors(kernels);
  ::setenv("VOLANT_TRAIN_ISA", "aten", 1);
  const Path aten = make_run("aten", short_job);
  ASSERT_EQ(finish(aten).status, 0) << testing::TrainRuns::errors(aten);
  EXPECT_EQ(json_string(events(aten).front(), "instructions").value(), "aten");
  const std::vector<double> expected = losses_of(kernels), got = losses_of(aten);
  ASSERT_EQ(got.size(), 12U);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], 1e-3 * expected[i]) << "step " << i;
}

TEST_F(Device, InLibtorchsWordsAKilledRunGoesOnBitForBit) {
  ::setenv("VOLANT_TRAIN_ISA", "aten", 1);
  JsonObject short_job = job();
  short_job["steps"] = 12;
  short_job["checkpoint_every"] = 3;
  short_job["n_threads"] = 1;
  runs_.expect_exact_resume(short_job, {5, 9});
}

TEST_F(Device, AGpuThatIsNotThereIsRefusedByName) {
  JsonObject on_gpu = job();
  on_gpu["device"] = "cuda";
  const Path run = make_run("gpu", on_gpu);
  const int status = finish(run).status;
  const std::string words = testing::TrainRuns::errors(run);
  if (status == 0) GTEST_SKIP() << "there is one";
  EXPECT_THAT(words, HasSubstr("'device' is \"cuda\""));
  EXPECT_THAT(words, HasSubstr("\"cpu\""));
}

}  // namespace
}  // namespace volant
