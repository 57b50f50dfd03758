// Several processes of the real program that train one model: the curve of one process, a rank that is
// killed, a stop, and going on with another number of ranks.
#include <gmock/gmock.h>

#include <cstdlib>

#include "base/clock.h"
#include "train/rank_gpu.h"
#include "train/test_ranks.h"
#include "train/test_stories.h"

namespace volant {
namespace {

using ::testing::Each;
using testing::expect_finished;
using testing::expect_same_curve;
using ::testing::HasSubstr;
using testing::TrainRuns;

class TrainInRanks : public testing::StoryRuns {
 protected:
  JsonObject f32_job() const {
    JsonObject all = job();
    all["dtype"] = "f32";
    all["steps"] = 20;
    all["evaluate_every"] = 10;
    return all;
  }
  static std::vector<Process> start(const Path& run, int n) { return TrainRuns::start_ranks(run, n); }
  Path alone(const JsonObject& job) const {
    Path run = make_run("alone", job);
    EXPECT_EQ(finish(run).status, 0) << TrainRuns::errors(run);
    return run;
  }
};

TEST_F(TrainInRanks, OneTwoAndFourProcessesHaveTheSameLosses) {
  const Path one = alone(f32_job());
  for (const int n : {2, 4}) {
    const Path run = make_run(fmt::format("{}", n), f32_job());
    expect_finished(run, start(run, n));
    expect_same_curve(run, one);
    EXPECT_EQ(json_int(events(run).front(), "n_ranks").value(), n);
    EXPECT_EQ(json_int(events(run)[3], "tokens").value(), json_int(events(one)[3], "tokens").value());
  }
}

TEST_F(TrainInRanks, WhateverIsSharedOutTheLossesAreTheSame) {
  JsonObject job = f32_job();
  job["micro_batch_tokens"] = 64;  // more passes than one
  const Path one = alone(job);
  for (const char* shard : {"optimizer", "gradients", "parameters"}) {
    job["shard"] = shard;
    const Path run = make_run(shard, job);
    expect_finished(run, start(run, 3));
    expect_same_curve(run, one);
  }
}

// In libtorch's words, as on GPUs: sums are those of tensors where the backend has its numbers.
TEST_F(TrainInRanks, InLibtorchsWordsTheLossesAreThoseOfOneProcessToo) {
  JsonObject job = f32_job();
  job["micro_batch_tokens"] = 64;
  job["steps"] = 12;
  ::setenv("VOLANT_TRAIN_ISA", "aten", 1);
  const Path one = alone(job);
  for (const auto& [n, shard] :
       {std::pair{2, "none"}, {2, "optimizer"}, {3, "gradients"}, {2, "parameters"}, {4, "parameters"}}) {
    job["shard"] = shard;
    const Path run = make_run(fmt::format("{}{}", shard, n), job);
    expect_finished(run, start(run, n));
    EXPECT_EQ(json_string(events(run).front(), "instructions").value(), "aten");
    expect_same_curve(run, one);
  }
  ::unsetenv("VOLANT_TRAIN_ISA");
}

// There the memory of a layer goes and comes as a whole, and with it the bf16 copies that the graph keeps for
// the backward pass. Sums of two numbers are the same in any order.
TEST_F(TrainInRanks, InLibtorchsWordsSharedWeightsAreThoseOfWholeOnesInBf16) {
  JsonObject job = f32_job();
  job["dtype"] = "bf16";
  job["micro_batch_tokens"] = 64;
  job["steps"] = 8;
  ::setenv("VOLANT_TRAIN_ISA", "aten", 1);
  const Path whole = make_run("whole", job);
  expect_finished(whole, start(whole, 2));
  for (const bool forgets : {false, true}) {
    job["shard"] = "parameters";
    job["checkpoint_activations"] = forgets;
    const Path run = make_run(fmt::format("parts{}", forgets), job);
    expect_finished(run, start(run, 2));
    expect_same_curve(run, whole);
  }
  ::unsetenv("VOLANT_TRAIN_ISA");
}

TEST_F(TrainInRanks, InLibtorchsWordsARunOfTwoGoesOnWithThree) {
  JsonObject job = f32_job();
  ::setenv("VOLANT_TRAIN_ISA", "aten", 1);
  const Path one = alone(job);
  for (const char* shard : {"gradients", "parameters"}) {
    job["shard"] = shard;
    const Path run = make_run(shard, job);
    std::vector<Process> ranks = start(run, 2);
    TrainRuns::signal_after(ranks[0], run, 6, SIGTERM);
    EXPECT_THAT(TrainRuns::finish(std::move(ranks)), Each(130)) << TrainRuns::errors(run);
    expect_finished(run, start(run, 3));
    expect_same_curve(run, one);
  }
  ::unsetenv("VOLANT_TRAIN_ISA");
}

TEST_F(TrainInRanks, GpusWithoutNcclAreRefusedWithWhatToBuild) {
  if (has_nccl()) GTEST_SKIP() << "built with it";
  JsonObject job = f32_job();
  job["device"] = "cuda";
  const Path run = make_run("gpu", job);
  EXPECT_THAT(TrainRuns::finish(start(run, 2)), Each(::testing::Ne(0)));
  EXPECT_THAT(TrainRuns::errors(run), HasSubstr("NCCL"));
  EXPECT_THAT(TrainRuns::errors(run), HasSubstr("VOLANT_LIBTORCH"));
}

// Parameters alone take 4 bytes a number; a rank holds its part, what is in no layer, and two layers.
TEST_F(TrainInRanks, SharedWeightsAreWholeOnlyWhereTheyAreRead) {
  JsonObject job = f32_job();
  job["model"].as_object()["config"].as_object()["num_hidden_layers"] = 8;
  job["micro_batch_tokens"] = 128;
  const Path one = alone(job);
  job["shard"] = "parameters";
  for (const auto& [n, forgets] : {std::pair{2, false}, {4, true}}) {
    job["checkpoint_activations"] = forgets;
    const Path run = make_run(fmt::format("parameters{}", n), job);
    expect_finished(run, start(run, n));
    expect_same_curve(run, one);
    const std::vector<Json> all = events(run);
    const Json& config = *json_find(all.front(), "config");
    const auto bytes = [](int64_t numbers) { return static_cast<double>(numbers) * sizeof(float); };
    const double whole = bytes(json_int(all.front(), "n_parameters").value());
    const double outside =
        bytes(json_int(config, "vocab_size").value() * json_int(config, "hidden_size").value());
    const double share = whole / n, layers = 2 * (whole - outside) / 8;
    int n_steps = 0;
    for (const Json& event : all) {
      if (json_string(event, "type").value() != "step") continue;
      const auto held = json_number(event, "weight_bytes").value();
      // Of what is gathered a part is the rank's own already.
      EXPECT_NEAR(held, share + (outside + layers) * (n - 1) / n, 0.02 * whole);
      EXPECT_LT(held, 0.85 * whole);
      ++n_steps;
    }
    EXPECT_EQ(n_steps, 20);
  }
}

TEST_F(TrainInRanks, ACheckpointOfSharedWeightsGoesOnWithAnyNumberOfRanks) {
  JsonObject job = f32_job();
  job["steps"] = 60;
  const Path one = alone(job);
  job["shard"] = "parameters";
  const Path run = make_run("parts", job);
  int stop_after = 5;
  for (const int n : {4, 2}) {
    std::vector<Process> ranks = start(run, n);
    TrainRuns::signal_after(ranks[0], run, stop_after, SIGTERM);
    EXPECT_THAT(TrainRuns::finish(std::move(ranks)), Each(130)) << TrainRuns::errors(run);
    stop_after += 5;
  }
  ASSERT_EQ(finish(run).status, 0) << TrainRuns::errors(run);
  expect_same_curve(run, one);
}

TEST_F(TrainInRanks, EveryElementwiseOptimizerIsShared) {
  for (const char* optimizer : {"lion", "sgd"}) {
    JsonObject job = f32_job();
    job["optimizer"] = optimizer;
    job["steps"] = 10;
    job["lr"] = 1e-3;
    job["shard"] = "gradients";
    const Path run = make_run(std::string(optimizer) + "2", job), one = make_run(optimizer, job);
    ASSERT_EQ(finish(one).status, 0) << TrainRuns::errors(one);
    expect_finished(run, start(run, 2));
    expect_same_curve(run, one);
  }
}

TEST_F(TrainInRanks, ConversationsWithAMovingAverage) {
  JsonObject job = f32_job();
  std::string rows;
  for (int i = 0; i < 24; ++i)
    rows += dump_json(JsonObject{
                {"messages", JsonArray{JsonObject{{"role", "user"}, {"content", std::string(3 + i % 5, 'a')}},
                                       JsonObject{{"role", "assistant"}, {"content", "A cat ran."}}}}}) +
            "\n";
  ASSERT_TRUE(write_file_atomic(scratch_ / "rows.jsonl", rows));
  job["objective"] = "sft";
  job["data"] = JsonObject{{"train_rows", (scratch_ / "rows.jsonl").string()},
                           {"validation_rows", (scratch_ / "rows.jsonl").string()}};
  job["model"] = JsonObject{{"init_from", tokenizer_.string()}};
  job["tokens_per_step"] = 128;
  job["max_seq_len"] = 64;
  job["micro_batch_tokens"] = 64;
  job["steps"] = 12;
  job["lr"] = 1e-3;
  job["ema_decay"] = 0.9;
  job["shard"] = "optimizer";
  const Path one = alone(job), run = make_run("two", job);
  expect_finished(run, start(run, 2));
  expect_same_curve(run, one);
}

TEST_F(TrainInRanks, ARankIsKilledTheOthersSayWhoAndTheRunGoesOnWithAnyNumberOfThem) {
  const Path one = alone(f32_job());
  JsonObject job = f32_job();
  const Path run = make_run("killed", job);
  int round = 0;
  struct Case {
    size_t n, victim;
    const char* shard;
  };
  // Who is killed among how many: the first is special, it listens for the others.
  for (const auto& [n, victim, shard] : {Case{3, 2, "parameters"}, {2, 0, "gradients"}}) {
    job["shard"] = shard;  // a run may go on with another
    ASSERT_TRUE(write_file_atomic(run / "job.json", dump_json(job)));
    std::filesystem::remove(run / "stderr.txt");
    std::vector<Process> ranks = start(run, static_cast<int>(n));
    TrainRuns::signal_after(ranks[victim], run, 6 * ++round, SIGKILL);
    const double killed = steady_seconds();
    const std::vector<int> statuses = TrainRuns::finish(std::move(ranks));
    EXPECT_LT(steady_seconds() - killed, 15) << "seconds, not minutes";
    for (size_t rank = 0; rank < n; ++rank)
      EXPECT_EQ(statuses[rank], rank == victim ? -1 : error_code_info(ErrorCode::kUnavailable).exit_status);
    EXPECT_THAT(TrainRuns::errors(run), HasSubstr(fmt::format("rank {} on ", victim)));
    EXPECT_THAT(TrainRuns::errors(run), HasSubstr("is gone"));
    EXPECT_FALSE(std::filesystem::exists(run / "model"));
  }
  expect_finished(run, start(run, 4));
  expect_same_curve(run, one);
}

TEST_F(TrainInRanks, OneThatIsAskedToStopStopsAllWithACheckpoint) {
  JsonObject job = f32_job();
  job["steps"] = 100000;
  job["evaluate_every"] = 0;
  job["checkpoint_every"] = 0;
  const Path run = make_run("stopped", job);
  std::vector<Process> ranks = start(run, 2);
  TrainRuns::signal_after(ranks[1], run, 10, SIGTERM);
  EXPECT_THAT(TrainRuns::finish(std::move(ranks)), Each(130)) << TrainRuns::errors(run);
  EXPECT_EQ(json_string(events(run).back(), "status").value(), "stopped");
  EXPECT_TRUE(std::filesystem::exists(run / "checkpoints/last/state.safetensors"));
}

TEST_F(TrainInRanks, WhatTheyCannotShareIsRefusedByName) {
  JsonObject other = f32_job();
  other["steps"] = 41;
  const Path a = make_run("a", f32_job()), b = make_run("b", other);
  const std::map<std::string, std::string> where = {{"WORLD_SIZE", "2"},
                                                    {"MASTER_ADDR", "127.0.0.1"},
                                                    {"MASTER_PORT", std::to_string(free_port().value())}};
  auto first = where, second = where;
  first["RANK"] = "0";
  second["RANK"] = "1";
  Process one = TrainRuns::start(a, first), two = TrainRuns::start(b, second);
  EXPECT_NE(two.wait().value().status, 0);
  EXPECT_NE(one.wait().value().status, 0);
  EXPECT_THAT(TrainRuns::errors(b), HasSubstr("another job.json than rank 0"));
  EXPECT_THAT(TrainRuns::errors(a), HasSubstr("rank 1 on "));

  JsonObject muon = f32_job();
  muon["optimizer"] = "muon";
  muon["shard"] = "optimizer";
  const Path whole = make_run("muon", muon);
  EXPECT_NE(finish(whole).status, 0);
  EXPECT_THAT(TrainRuns::errors(whole), HasSubstr("the optimizer 'muon' looks at whole matrices"));
}

}  // namespace
}  // namespace volant
