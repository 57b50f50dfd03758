// What batch norm keeps is part of the state of training: of checkpoints, of averages, and nothing that an
// optimiser sees.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "support/scratch_dir.h"
#include "train/optimizer.h"
#include "train/train_state.h"
#include "train/weight_average.h"

namespace volant {
namespace {

const char* const kConfig =
    R"({"model_type": "network", "problem_type": "regression", "input_shape": [2, 6, 5],
  "layers": [{"type": "conv", "channels": 3, "kernel": 3}, {"type": "batch_norm"}, {"type": "relu"},
             {"type": "dense", "units": 8}, {"type": "dropout", "p": 0.5}]})";

class NetworkInTraining {
 public:
  NetworkInTraining() {
    Random random(4);
    for (size_t i = 0; i < model_.tensors().size(); ++i) {
      const TensorSpec& spec = model_.tensors()[i];
      std::vector<float> numbers(static_cast<size_t>(spec.count()),
                                 spec.init == TensorInit::kOne ? 1.0F : 0.0F);
      if (spec.init == TensorInit::kUniform)
        for (float& x : numbers) x = static_cast<float>((2 * random.uniform() - 1) * spec.bound);
      model_.write(i, numbers);
    }
  }
  // A step on rows that follow from its number, towards 1.
  void step(int64_t number) {
    Random random(static_cast<uint64_t>(number) + 10);
    std::vector<float> rows(4 * 60);
    for (float& x : rows) x = static_cast<float>(1 + random.normal());
    const std::vector<int32_t> begins{0, 1, 2, 3, 4}, all{0, 1, 2, 3};
    model_.begin_step(static_cast<uint64_t>(number) + 1);
    ASSERT_TRUE(model_.output_loss_and_gradient(
        {.tokens = {},
         .pos = {},
         .seq_begin = begins,
         .kv_slot = {},
         .out_rows = all,
         .features = rows,
         .feature_columns = 60},
        [](std::span<const float> y, std::span<float> gradient) {
          double sum = 0;
          for (size_t i = 0; i < y.size(); ++i) {
            gradient[i] = y[i] - 1;
            sum += static_cast<double>((y[i] - 1) * (y[i] - 1)) / 2;
          }
          return sum;
        },
        1));
    optimiser_->step(model_, number, 0.01, 1);
    average_.update(model_, number);
  }
  std::vector<Optimizer::Slot> slots() {
    std::vector<Optimizer::Slot> slots = optimiser_->slots();
    for (Optimizer::Slot& slot : average_.slots(model_)) slots.push_back(std::move(slot));
    return slots;
  }
  std::map<std::string, std::vector<float>> kept() const {
    std::map<std::string, std::vector<float>> all;
    for (const auto& p : model_.kept()) all[p.spec.name] = {p.values.begin(), p.values.end()};
    return all;
  }
  TorchModel& model() { return model_; }
  MovingAverage& average() { return average_; }

 private:
  TrainJob job_;
  TorchModel model_ =
      TorchModel::create(ModelConfig::from_json(parse_json(kConfig).value()).value(), {}).value();
  std::unique_ptr<Optimizer> optimiser_ = make_optimizer(job_, model_);
  MovingAverage average_{model_, 0.9};
};

TEST(NetworkInTraining, ResumedFromACheckpointItGoesOnBitByBit) {
  const testing::ScratchDir dir;
  NetworkInTraining whole, first;
  for (int64_t i = 0; i < 6; ++i) whole.step(i);
  for (int64_t i = 0; i < 3; ++i) first.step(i);
  ASSERT_TRUE(save_checkpoint(dir / "last.safetensors", first.model(), first.slots(), {}, "job"));
  NetworkInTraining resumed;
  ASSERT_TRUE(load_checkpoint(dir / "last.safetensors", resumed.model(), resumed.model().kept(),
                              resumed.slots(), "job"));
  for (int64_t i = 3; i < 6; ++i) resumed.step(i);
  EXPECT_EQ(resumed.kept(), whole.kept());
  EXPECT_NE(whole.kept(), first.kept());
  whole.average().swap(whole.model());
  resumed.average().swap(resumed.model());
  EXPECT_EQ(resumed.kept(), whole.kept());
}

TEST(NetworkInTraining, AveragesHoldTheStatisticsToo) {
  NetworkInTraining network;
  const std::vector<float> start = network.kept().at("layers.1.running_mean");
  network.step(0);
  const std::vector<float> now = network.kept().at("layers.1.running_mean");
  network.average().swap(network.model());
  const std::vector<float> average = network.kept().at("layers.1.running_mean");
  for (size_t c = 0; c < start.size(); ++c) {
    EXPECT_NE(now[c], start[c]);
    EXPECT_NEAR(average[c], 0.1F * start[c] + 0.9F * now[c], 1e-6F);  // early: (1 + 0) / (10 + 0) of the old
  }
}

TEST(NetworkInTraining, OptimisersSeeNoStatistics) {
  NetworkInTraining network;
  for (const auto& p : network.model().parameters())
    EXPECT_NE(p.spec.role, TensorRole::kStatistic) << p.spec.name;
  for (const Optimizer::Slot& slot : network.slots())
    if (!slot.name.starts_with("ema.")) {
      EXPECT_EQ(slot.name.find("running_"), std::string::npos) << slot.name;
    }
}

}  // namespace
}  // namespace volant
