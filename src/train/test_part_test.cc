#include "train/test_part.h"

#include <gtest/gtest.h>

#include "data/token_shard.h"
#include "support/test_data.h"
#include "text/tokenizer.h"
#include "train/test_run.h"
#include "train/toy_arithmetic.h"

namespace volant {
namespace {

TEST(PairedDifference, WhatAllRowsShareHasANarrowInterval) {
  std::vector<double> a, b;
  for (int i = 0; i < 50; ++i) {
    a.push_back(i);  // rows differ by far more than the two models do
    b.push_back(i + 0.5 + 0.001 * (i % 2));
  }
  const Json difference = paired_difference(a, b, {});
  EXPECT_NEAR(difference.at("value").as_double(), 0.5005, 1e-12);
  EXPECT_GE(difference.at("ci95").at(0).as_double(), 0.5);
  EXPECT_LE(difference.at("ci95").at(1).as_double(), 0.501);
}

TEST(PairedDifference, IsTheWeightedMean) {
  const Json difference = paired_difference({1, 1}, {2, 5}, {3, 1});
  EXPECT_DOUBLE_EQ(difference.at("value").as_double(), (3 * 1 + 1 * 4) / 4.0);
  EXPECT_DOUBLE_EQ(difference.at("ci95").at(0).as_double(),
                   1);  // of 1000 samples, many of the first row alone
  EXPECT_DOUBLE_EQ(difference.at("ci95").at(1).as_double(), 4);
}

TEST(ToyArithmetic, TestProblemsAreInNoOtherPartAndTakeNothingFromThem) {
  const testing::ScratchDir dir;
  ToyArithmetic how{.max = 9, .operations = "+", .n_train = 60, .n_validation = 20};
  ASSERT_TRUE(write_toy_arithmetic(how, dir / "train", dir / "validation", dir / "test"));
  EXPECT_FALSE(std::filesystem::exists(dir / "test"));
  how.n_test = 20;
  ASSERT_TRUE(write_toy_arithmetic(how, dir / "train2", dir / "validation2", dir / "test2"));
  EXPECT_EQ(read_file(dir / "train").value(), read_file(dir / "train2").value());
  EXPECT_EQ(read_file(dir / "validation").value(), read_file(dir / "validation2").value());
  std::vector<std::string> all;
  for (const char* part : {"train2", "validation2", "test2"}) {
    const std::vector<Json> rows = read_jsonl(dir / part).value();
    for (const Json& row : rows) all.push_back(dump_json(row));
  }
  std::ranges::sort(all);
  EXPECT_EQ(all.size(), 100U);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
  how.n_test = 21;
  EXPECT_FALSE(write_toy_arithmetic(how, dir / "train3", dir / "validation3", dir / "test3"));
}

TEST(TestPart, TellsWhatTheStartAndTheFinishedModelReachOnTheSameRows) {
  const auto data = testing::test_data();
  if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
  const Path model = *data / "models/stories260K";
  const auto tokenizer = load_tokenizer(model).value();
  const testing::TrainRuns runs;
  const auto shard = [&](const char* name, int begin, int end) {
    std::vector<std::vector<int32_t>> documents;
    for (int i = begin; i < end; ++i)
      documents.push_back(tokenizer->encode("There were " + std::to_string(i * i) + " cats in town."));
    EXPECT_TRUE(write_token_shard(runs.folder() / name, documents, 512));
    return (runs.folder() / name).string();
  };
  const JsonObject job{
      {"objective", "pretrain"},
      {"model", JsonObject{{"init_from", model.string()}}},
      {"data", JsonObject{{"train_shard", shard("train", 0, 40)}, {"test_shard", shard("test", 40, 52)}}},
      {"max_seq_len", 32},
      {"tokens_per_step", 256},
      {"micro_batch_tokens", 256},
      {"steps", 12},
      {"lr", 1e-3},
      {"warmup_steps", 2},
      {"checkpoint_every", 4},
      {"n_threads", 1}};
  const Path run = runs.make("run", job);
  ASSERT_EQ(testing::TrainRuns::finish(run).status, 0) << testing::TrainRuns::errors(run);
  const auto mean = [&](const char* file) {
    const Json report = parse_json(read_file(run / file).value()).value();
    const Json& scores = report.at("row_scores");
    double sum = 0, of = 0;
    for (size_t i = 0; i < scores.at("loss").as_array().size(); ++i) {
      const double weight = scores.at("weights").at(i).to_number<double>();
      sum += weight * scores.at("loss").at(i).to_number<double>();
      of += weight;
    }
    EXPECT_NEAR(report.at("loss").at("value").to_number<double>(), sum / of, 1e-9);
    EXPECT_EQ(report.at("loss").at("better").as_string(), "lower");
    return sum / of;
  };
  const double before = mean("test_before.json"), after = mean("test.json");
  EXPECT_LT(after, before - 0.5);
  int seen = 0;
  for (const Json& event : testing::TrainRuns::events(run)) {
    if (json_string(event, "type").value() != "test") continue;
    ++seen;
    const Json& difference = event.at("difference").at("loss");
    EXPECT_NEAR(difference.at("value").to_number<double>(), after - before, 1e-9);
    EXPECT_LT(difference.at("ci95").at(1).to_number<double>(), 0);
  }
  EXPECT_EQ(seen, 1);
  runs.expect_exact_resume(job, {2, 7});
}

}  // namespace
}  // namespace volant
