#include "train/predict_job.h"

#include <gmock/gmock.h>

#include "train/job.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

JsonObject small_job() {
  return {{"objective", "predict"},
          {"task", "table"},
          {"encoder", "made"},
          {"model", JsonObject{{"config", JsonObject{{"layers", JsonArray{}}}}}},
          {"data", JsonObject{{"train_rows", "train.jsonl"}}}};
}
Result<TrainJob> parse(const JsonObject& json) { return parse_train_job(json, "/run"); }
std::string message(const char* key, const Json& value) {
  JsonObject json = small_job();
  json[key] = value;
  const auto job = parse(json);
  return job ? "accepted" : job.error().message;
}
std::string own_message(const char* text) { return message("predict", parse_json(text).value()); }

TEST(PredictJob, ReadsWhatIsSaidAndKeepsDefaults) {
  JsonObject json = small_job();
  const TrainJob plain = parse(json).value();
  EXPECT_EQ(plain.predict.encoder, "/run/made");
  EXPECT_EQ(plain.predict.task, "table");
  EXPECT_EQ(plain.predict.batch_size, 64);
  EXPECT_EQ(plain.predict.adversarial_epsilon, 0);
  EXPECT_TRUE(plain.tokenizer.empty());
  json["predict"] =
      parse_json(R"({"loss": "focal", "focal_gamma": 3, "class_weights": {"a": 2}, "batch_size": 8,
    "augment": {"noise": 0.1}, "input_noise": 0.2, "gradient_noise": 0.3, "l1": 0.4,
    "adversarial": {"epsilon": 0.5}, "judge_by": "accuracy"})")
          .value();
  const PredictJob job = parse(json).value().predict;
  EXPECT_EQ(job.loss, "focal");
  EXPECT_EQ(job.focal_gamma, 3);
  EXPECT_EQ(job.class_weights.of_label.at("a"), 2);
  EXPECT_EQ(job.batch_size, 8);
  EXPECT_EQ(job.augment.at("noise").as_double(), 0.1);
  EXPECT_EQ(job.input_noise, 0.2);
  EXPECT_EQ(job.gradient_noise, 0.3);
  EXPECT_EQ(job.l1, 0.4);
  EXPECT_EQ(job.adversarial_epsilon, 0.5);
  EXPECT_EQ(job.adversarial_share, 0.5);
  EXPECT_EQ(job.judge_by, "accuracy");
}

TEST(PredictJob, RefusesByNameWhatItDoesNotKnowOrUse) {
  EXPECT_THAT(own_message(R"({"losss": "focal"})"), HasSubstr("did you mean 'loss'"));
  EXPECT_THAT(own_message(R"({"loss": "hinge"})"), HasSubstr("'loss': expected one of cross_entropy"));
  EXPECT_THAT(own_message(R"({"focal_gamma": 1})"), HasSubstr("'focal_gamma' is of no use"));
  EXPECT_THAT(own_message(R"({"batch_size": 0})"), HasSubstr("'batch_size'"));
  EXPECT_THAT(own_message(R"({"l1": -1})"), HasSubstr("'l1'"));
  EXPECT_THAT(own_message(R"({"adversarial": {"share": 0.5}})"), HasSubstr("epsilon"));
  EXPECT_THAT(own_message(R"({"adversarial": {"epsilon": 1, "share": 2}})"), HasSubstr("'share'"));
  EXPECT_THAT(own_message(R"({"augment": true})"), HasSubstr("'augment'"));
  EXPECT_THAT(own_message(R"({"judge_by": "f1"})"), HasSubstr("'judge_by'"));
  EXPECT_THAT(message("tokenizer", "somewhere"), HasSubstr("'tokenizer' is of no use"));
  EXPECT_THAT(message("tokens_per_step", 64), HasSubstr("'tokens_per_step' is of no use"));
  EXPECT_THAT(message("classify", JsonObject{}), HasSubstr("'classify' is of no use"));
}

TEST(PredictJob, NeedsItsTaskAndEncoderWhichOthersRefuse) {
  for (const char* key : {"task", "encoder"}) {
    JsonObject json = small_job();
    json.erase(key);
    EXPECT_THAT(parse(json).error().message, HasSubstr(fmt::format("expected '{}'", key)));
    JsonObject other{{"objective", "classify"},
                     {"model", JsonObject{{"init_from", "x"}}},
                     {"data", JsonObject{{"train_rows", "y"}}},
                     {key, "x"}};
    EXPECT_THAT(parse(other).error().message, HasSubstr(fmt::format("'{}' is of no use", key)));
  }
}

}  // namespace
}  // namespace volant
