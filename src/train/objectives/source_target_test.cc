// Learning to write a target from a source: the loss is that of each pair on its own, descending its gradient
// lowers it, and a restored objective goes on where it was.
#include "train/objectives/source_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "support/token_rows.h"
#include "train/optimizer.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

ModelConfig small_config() {
  return ModelConfig::from_json(
             Json(JsonObject{{"architectures", JsonArray{Json("T5ForConditionalGeneration")}},
                             {"vocab_size", 512},
                             {"d_model", 32},
                             {"d_kv", 8},
                             {"d_ff", 64},
                             {"num_layers", 1},
                             {"num_heads", 4},
                             {"relative_attention_num_buckets", 8},
                             {"relative_attention_max_distance", 20},
                             {"feed_forward_proj", "gated-gelu"}}))
      .value();
}

constexpr const char* kRows =
    "{\"prompt\":\"the cat sat\",\"completion\":\"on a mat\"}\n"
    "{\"messages\":[{\"role\":\"user\",\"content\":\"one dog\"},{\"role\":\"assistant\",\"content\":\"ran\"}]}\n"
    "{\"prompt\":\"sun\",\"completion\":\"rises in the morning\"}\n";

class SourceTarget : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = testing::test_data();
    if (!data || !std::filesystem::exists(*data / "models/stories260K"))
      GTEST_SKIP() << "needs models/stories260K";
    tokenizer_ = load_tokenizer(*data / "models/stories260K").value();
    ASSERT_TRUE(write_file_atomic(scratch_ / "rows.jsonl", kRows));
    job_.objective = TrainJob::Objective::kSft;
    job_.train_rows = job_.validation_rows = scratch_ / "rows.jsonl";
    job_.max_seq_len = 64;
    job_.tokens_per_step = 1000;
    job_.micro_batch_tokens = 20;
    Random random(3);
    for (const auto& p : model_.parameters()) {
      const double deviation =
          p.spec.shape.size() == 1 ? 0 : 1 / std::sqrt(static_cast<double>(p.spec.shape[1]));
      for (float& x : p.values)
        x = static_cast<float>((p.spec.init == TensorInit::kOne ? 1.0 : 0.0) + deviation * random.normal());
    }
    model_.weights_changed();
  }
  std::unique_ptr<Objective> make() { return make_objective({job_, tokenizer_.get(), config_}).value(); }
  std::vector<int32_t> ids(const char* text) const {
    std::vector<int32_t> ids = tokenizer_->encode(text, {.add_special = false, .parse_special = false});
    ids.push_back(*tokenizer_->eos_id());
    return ids;
  }

  testing::ScratchDir scratch_;
  ModelConfig config_ = small_config();
  std::unique_ptr<Tokenizer> tokenizer_;
  TrainJob job_;
  TorchModel model_ = TorchModel::create(config_, {}).value();
};

TEST_F(SourceTarget, LossIsTheMeanOverTheTargetsOfEachPairAlone) {
  double loss = 0, n = 0;
  for (const auto& [source, target] :
       {std::pair{"the cat sat", "on a mat"}, {"one dog", "ran"}, {"sun", "rises in the morning"}}) {
    std::vector<int32_t> written = ids(target);
    const std::vector<int32_t> targets = written;
    written.insert(written.begin(), 0);  // the start mark
    written.pop_back();
    testing::Pairs pair;
    pair.add(ids(source), written);
    const std::vector<float> ones(targets.size(), 1.0F);
    loss += model_.loss(pair.view(), targets, ones).value();
    n += static_cast<double>(targets.size());
  }
  const auto objective = make();
  EXPECT_EQ(objective->n_examples(), 3U);
  EXPECT_EQ(objective->n_targets(), static_cast<uint64_t>(n));
  EXPECT_EQ(objective->steps_of_an_epoch(), 1);
  EXPECT_NEAR(objective->evaluate(model_).value().loss, loss / n, 1e-5);
  EXPECT_NEAR(objective->step(model_).value().loss, loss / n, 1e-5);
}

TEST_F(SourceTarget, DescendingItsGradientLowersTheLoss) {
  const auto objective = make();
  const double before = objective->evaluate(model_).value().loss;
  const auto optimiser = make_optimizer(job_, model_);
  for (int step = 0; step < 60; ++step) {
    ASSERT_TRUE(objective->step(model_));
    optimiser->step(model_, step, 0.01, 1);
  }
  EXPECT_LT(objective->evaluate(model_).value().loss, 0.5 * before);
}

TEST_F(SourceTarget, GoesOnWhereItWas) {
  job_.tokens_per_step = 1;  // a pair a step
  const auto objective = make(), again = make();
  EXPECT_EQ(objective->steps_of_an_epoch(), 3);
  ASSERT_TRUE(objective->step(model_));
  ASSERT_TRUE(again->restore(objective->state()));
  EXPECT_EQ(again->step(model_).value().loss, objective->step(model_).value().loss);
}

TEST_F(SourceTarget, ARowThatIsNoPairIsNamedByItsLine) {
  ASSERT_TRUE(write_file_atomic(scratch_ / "rows.jsonl",
                                "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"text\":\"c\"}\n"));
  const auto refused = make_objective({job_, tokenizer_.get(), config_});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("rows.jsonl:2"));
  EXPECT_THAT(refused.error().to_string(), HasSubstr("prompt"));
}

}  // namespace
}  // namespace volant
