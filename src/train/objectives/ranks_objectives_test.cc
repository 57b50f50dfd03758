// Every objective that several processes share, as whole runs: the losses of two and three processes are
// those of one, whatever is divided among them.
#include "support/test_data.h"
#include "tasks/task.h"
#include "train/small_bert.h"
#include "train/test_ranks.h"

namespace volant {
namespace {

using testing::expect_finished;
using testing::expect_same_curve;
using testing::TrainRuns;

class ObjectivesInRanks : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = testing::test_data();
    if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
    stories_ = *data / "models/stories260K";
    bert_ = *data / "models/tiny-bert";
  }
  // `row(i)` of 0 .. n - 1.
  template <class F>
  Path write(const char* name, int n, const F& row) const {
    std::string text;
    for (int i = 0; i < n; ++i) text += dump_json(row(i)) + "\n";
    EXPECT_TRUE(write_file_atomic(runs_.folder() / name, text));
    return runs_.folder() / name;
  }
  JsonObject job(const std::string& objective, const Path& rows) const {
    return {{"objective", objective},
            {"model", JsonObject{{"init_from", stories_.string()}}},
            {"data", JsonObject{{"train_rows", rows.string()}, {"validation_rows", rows.string()}}},
            {"dtype", "f32"},
            {"max_seq_len", 64},
            {"tokens_per_step", 600},
            {"micro_batch_tokens", 150},
            {"steps", 8},
            {"lr", 1e-3},
            {"warmup_steps", 2},
            {"evaluate_every", 4},
            {"checkpoint_every", 4},
            {"n_threads", 1}};
  }
  // The figures of steps and evaluations. Which evaluation was the best may differ in the last digit.
  static std::vector<std::pair<std::string, double>> figures_of(const Path& run) {
    std::vector<std::pair<std::string, double>> all;
    for (const Json& event : TrainRuns::events(run)) {
      const Json* metrics = json_find(event, "metrics");
      if (metrics == nullptr) continue;
      for (const auto& [name, value] : metrics->as_object())
        all.emplace_back(name, (value.is_object() ? value.at("value") : value).to_number<double>());
    }
    return all;
  }
  static void expect_same_figures(const Path& run, const Path& reference) {
    const auto got = figures_of(run), want = figures_of(reference);
    ASSERT_EQ(got.size(), want.size());
    EXPECT_GT(got.size(), 0U);
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].first, want[i].first);
      EXPECT_NEAR(got[i].second, want[i].second, 1e-3 * std::max(1.0, std::abs(want[i].second)))
          << got[i].first << ", number " << i;
    }
  }
  void expect_shared(JsonObject job, const std::vector<std::pair<int, std::string>>& ways) {
    const std::string name = fmt::format("run{}", n_runs_++);
    const Path one = runs_.make(name, job);
    ASSERT_EQ(runs_.finish(one).status, 0) << runs_.errors(one);
    for (const auto& [n, shard] : ways) {
      SCOPED_TRACE(fmt::format("{} ranks, {}", n, shard));
      job["shard"] = shard;
      const Path run = runs_.make(fmt::format("{}.{}.{}", name, n, shard), job);
      expect_finished(run, TrainRuns::start_ranks(run, n));
      expect_same_curve(run, one);
      expect_same_figures(run, one);
    }
  }
  std::string refusal(const JsonObject& job) {
    const Path run = runs_.make(fmt::format("refused{}", n_runs_++), job);
    for (const int status : TrainRuns::finish(TrainRuns::start_ranks(run, 2))) EXPECT_NE(status, 0);
    return runs_.errors(run);
  }

  TrainRuns runs_;
  Path stories_, bert_;
  int n_runs_ = 0;
};

JsonObject pair_of(int i) {
  return {{"prompt", "Once upon a time number " + std::to_string(i)},
          {"chosen", "there was a good cat" + std::string(i % 3 == 0 ? " who ran far away" : "")},
          {"rejected", "the dog and the dog" + std::string(i % 4 == 0 ? " and it was red" : "")},
          {"weight", 1 + 0.5 * (i % 2)}};
}

TEST_F(ObjectivesInRanks, Preferences) {
  const Path pairs = write("pairs.jsonl", 24, pair_of);
  JsonObject all = job("preference", pairs);
  all["preference"] = JsonObject{{"loss", "dpo"}, {"beta", 0.2}};
  expect_shared(all, {{2, "none"}, {2, "parameters"}, {3, "gradients"}});
  for (const char* loss : {"ipo", "orpo", "simpo"}) {
    all["preference"] = JsonObject{{"loss", loss}};
    expect_shared(all, {{2, "none"}});
  }
}

TEST_F(ObjectivesInRanks, Judgements) {
  const Path judged = write("judged.jsonl", 30, [](int i) {
    const JsonObject pair = pair_of(i);
    return JsonObject{{"prompt", pair.at("prompt")},
                      {"completion", pair.at(i % 3 == 0 ? "chosen" : "rejected")},
                      {"label", i % 3 == 0}};
  });
  JsonObject all = job("preference", judged);
  all["preference"] = JsonObject{{"loss", "kto"}, {"beta", 0.1}, {"desirable_weight", 1.3}};
  expect_shared(all, {{2, "none"}, {3, "parameters"}});
}

TEST_F(ObjectivesInRanks, RewardModels) {
  expect_shared(job("reward_model", write("pairs.jsonl", 24, pair_of)), {{2, "none"}, {3, "gradients"}});
}

TEST_F(ObjectivesInRanks, LabelsOfTexts) {
  const Path rows = write("rows.jsonl", 40, [](int i) {
    return JsonObject{
        {"text", "Once there were " + std::to_string(i) + (i % 2 == 0 ? " cats" : " dogs and they ran")},
        {"label", i % 2 == 0 ? "cat" : "dog"}};
  });
  expect_shared(job("classify", rows), {{2, "none"}, {3, "gradients"}});
}

TEST_F(ObjectivesInRanks, PairsOfTexts) {
  const Path rows = write("rows.jsonl", 24, [](int i) {
    return JsonObject{{"anchor", "Tom saw " + std::to_string(i) + " cats"},
                      {"positive", "They were number " + std::to_string(i)}};
  });
  JsonObject all = job("embed", rows);
  all["model"] =
      JsonObject{{"init_from", testing::write_small_bert(runs_.folder() / "bert", bert_).string()}};
  all["embed"] = JsonObject{{"batch_size", 8}};
  expect_shared(all, {{2, "none"}, {3, "optimizer"}});
}

TEST_F(ObjectivesInRanks, TargetsOfSources) {
  const Path rows = write("rows.jsonl", 30, [](int i) {
    return JsonObject{{"prompt", "say " + std::to_string(i)},
                      {"completion", "number " + std::to_string(i) + (i % 3 == 0 ? " again and again" : "")}};
  });
  JsonObject all = job("sft", rows);
  all["tokenizer"] = stories_.string();
  all["model"] = parse_json(R"({"config": {"architectures": ["T5ForConditionalGeneration"], "vocab_size": 512,
    "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 20, "feed_forward_proj": "gated-gelu"}})")
                     .value();
  // Its figures are the loss alone.
  const Path one = runs_.make("one", all), two = runs_.make("two", all);
  ASSERT_EQ(runs_.finish(one).status, 0) << runs_.errors(one);
  expect_finished(two, TrainRuns::start_ranks(two, 2));
  expect_same_curve(two, one);
  all["shard"] = "parameters";
  EXPECT_THAT(refusal(all), ::testing::HasSubstr("the objective 'sft' needs whole weights"));
}

class RewardsInRanks : public ObjectivesInRanks {
 protected:
  // Six answers to each of three prompts: three processes have whole groups, two and four share some.
  JsonObject grpo_job() const {
    const Path prompts = write("prompts.jsonl", 7, [](int i) {
      return JsonObject{{"prompt", "Once there were " + std::to_string(i) + " cats"}, {"answer", "k"}};
    });
    JsonObject all = job("grpo", prompts);
    all.erase("tokens_per_step");
    all["grpo"] = JsonObject{{"prompts_per_step", 3}, {"group_size", 6},   {"max_new_tokens", 8},
                             {"reward", "regex"},     {"inner_epochs", 2}, {"beta", 0.05}};
    return all;
  }
};

TEST_F(RewardsInRanks, OwnAnswers) {
  expect_shared(grpo_job(), {{2, "none"}, {3, "gradients"}, {4, "optimizer"}});
}

TEST_F(RewardsInRanks, AStopBetweenTwoStepsOnTheSameAnswersGoesOnWithAnotherNumber) {
  const Path one = runs_.make("one", grpo_job()), run = runs_.make("run", grpo_job());
  ASSERT_EQ(runs_.finish(one).status, 0) << runs_.errors(one);
  std::vector<Process> ranks = TrainRuns::start_ranks(run, 2);
  TrainRuns::signal_after(ranks[0], run, 4, SIGTERM);  // start, evaluation, checkpoint, the first step
  EXPECT_THAT(TrainRuns::finish(std::move(ranks)), ::testing::Each(130)) << runs_.errors(run);
  expect_finished(run, TrainRuns::start_ranks(run, 3));
  expect_same_curve(run, one);
}

TEST_F(RewardsInRanks, WholeWeightsAreNeededToAnswer) {
  JsonObject parts = grpo_job();
  parts["shard"] = "parameters";
  EXPECT_THAT(refusal(parts), ::testing::HasSubstr("the objective 'grpo' needs whole weights"));
}

class PredictionsInRanks : public ObjectivesInRanks {
 protected:
  JsonObject table_job(const char* layers) {
    std::vector<TaskRow> rows;
    for (int i = 0; i < 90; ++i) {
      const double a = (i * 37) % 11 - 5, b = (i * 53) % 13 - 6;
      TaskRow row;
      row.input = JsonObject{{"a", a}, {"b", b}};
      row.label = a * b > 0 ? "same" : "different";
      rows.push_back(row);
    }
    const Path folder = runs_.folder() / "encoder";
    EXPECT_TRUE(make_dirs(folder));
    const Json data = parse_json(R"({"train": ["none.csv"], "label": "label", "min_count": 1})").value();
    EXPECT_TRUE(find_task("table")->learn(data, JsonObject{}, runs_.folder(), rows).value()->save(folder));
    const Path file = write("table.jsonl", static_cast<int>(rows.size()),
                            [&](int i) { return to_json(rows[static_cast<size_t>(i)]); });
    return {{"objective", "predict"},
            {"task", "table"},
            {"encoder", folder.string()},
            {"model", JsonObject{{"config", JsonObject{{"layers", parse_json(layers).value()}}}}},
            {"data", JsonObject{{"train_rows", file.string()}, {"validation_rows", file.string()}}},
            {"predict", JsonObject{{"batch_size", 17}, {"l1", 1e-4}, {"gradient_noise", 1e-4}}},
            {"lr", 0.01},
            {"warmup_steps", 0},
            {"epochs", 3},
            {"evaluate_every", 5},
            {"dtype", "f32"},
            {"n_threads", 1}};
  }
};

TEST_F(PredictionsInRanks, Tables) {
  JsonObject all = table_job(R"([{"type": "dense", "units": 16}, {"type": "relu"}])");
  expect_shared(all, {{2, "none"}, {3, "gradients"}});
  all["predict"] = JsonObject{{"batch_size", 17}};
  expect_shared(all, {{2, "gradients"}});
}

TEST_F(PredictionsInRanks, WhatGoesByAWholePassIsRefusedByName) {
  EXPECT_THAT(refusal(table_job(R"([{"type": "dense", "units": 16}, {"type": "batch_norm"}])")),
              ::testing::HasSubstr("a network with batch norm"));
  JsonObject parts = table_job(R"([{"type": "dense", "units": 16}, {"type": "relu"}])");
  parts["shard"] = "parameters";
  EXPECT_THAT(refusal(parts), ::testing::HasSubstr("the objective 'predict' needs whole weights"));
}

}  // namespace
}  // namespace volant
