// Whole runs of the real program, killed with SIGKILL and started again, of every objective and of every kind
// of adapter: the curve and the weights are those of a run that was left alone. And what cannot be trained
// with an adapter, refused by name.
#include <gmock/gmock.h>

#include "models/checkpoint.h"
#include "support/test_data.h"
#include "train/small_bert.h"
#include "train/test_run.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

class Resume : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = testing::test_data();
    if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
    stories_ = *data / "models/stories260K";
    bert_ = *data / "models/tiny-bert";
  }
  // Twelve rows, several steps an epoch.
  template <class Row>
  JsonObject job(const char* objective, Row&& row_of) const {
    std::string text;
    for (int i = 0; i < 12; ++i) text += dump_json(row_of(i)) + "\n";
    const Path rows = runs_.folder() / (std::string(objective) + ".jsonl");
    EXPECT_TRUE(write_file_atomic(rows, text));
    return {{"objective", objective},
            {"model", JsonObject{{"init_from", stories_.string()}}},
            {"data", JsonObject{{"train_rows", rows.string()}, {"validation_rows", rows.string()}}},
            {"max_seq_len", 128},
            {"tokens_per_step", 150},
            {"micro_batch_tokens", 128},
            {"steps", 10},
            {"lr", 1e-3},
            {"warmup_steps", 2},
            {"evaluate_every", 5},
            {"checkpoint_every", 3},
            {"n_threads", 1}};
  }
  JsonObject sft() const {
    return job("sft", [](int i) {
      return JsonObject{
          {"messages",
           JsonArray{JsonObject{{"role", "user"}, {"content", "Who is number " + number(i) + "?"}},
                     JsonObject{{"role", "assistant"}, {"content", "A cat of " + number(i)}}}}};
    });
  }
  JsonObject preference(const char* loss) const {
    JsonObject all = job("preference", [&](int i) {
      if (std::string(loss) == "kto")
        return JsonObject{{"prompt", "Tell me of " + number(i)},
                          {"completion", i % 2 == 0 ? "A cat ran." : "xx no."},
                          {"label", i % 2 == 0}};
      return JsonObject{
          {"prompt", "Tell me of " + number(i)}, {"chosen", "A cat ran."}, {"rejected", "xx no."}};
    });
    all["preference"] = JsonObject{{"loss", loss}, {"beta", 0.2}};
    return all;
  }
  static std::string number(int i) { return std::to_string(i * 7); }
  static JsonObject with_adapter(JsonObject job, const char* adapter) {
    job["adapter"] = parse_json(adapter).value();
    return job;
  }
  // Killed after the second step, and again near the end.
  static void expect_exact(const JsonObject& job) { testing::TrainRuns().expect_exact_resume(job, {4, 9}); }

  testing::TrainRuns runs_;
  Path stories_, bert_;
};

TEST_F(Resume, AnswersOfConversations) {
  JsonObject noisy = sft();
  noisy["neftune_alpha"] = 3;
  expect_exact(noisy);
}

TEST_F(Resume, EveryKindOfAdapterOnEveryBase) {
  for (const char* kind : {"lora", "rslora", "dora"})
    for (const int bits : {32, 8, 4}) {
      SCOPED_TRACE(fmt::format("{} beside {} bits", kind, bits));
      expect_exact(with_adapter(
          sft(),
          fmt::format(R"({{"kind": "{}", "r": 4, "base_bits": {}, "dropout": 0.1}})", kind, bits).c_str()));
    }
  SCOPED_TRACE("that begins with what rounding took");
  expect_exact(with_adapter(sft(), R"({"kind": "lora", "r": 4, "base_bits": 4, "start": "rounding"})"));
}

TEST_F(Resume, DistillationFromSequences) {
  JsonObject distil = sft();
  distil["distil"] =
      JsonObject{{"teacher", stories_.string()}, {"from", "sequences"}, {"max_new_tokens", 300}};
  distil["max_seq_len"] = 512;
  distil["data"].as_object().erase("validation_rows");
  expect_exact(distil);
}

TEST_F(Resume, LabelsOfWords) {
  expect_exact(job("classify", [](int i) {
    return JsonObject{{"tokens", JsonArray{"Tom", "saw", "a", i % 2 == 0 ? "cat" : "butterfly"}},
                      {"tags", JsonArray{"NAME", "O", "O", "ANIMAL"}}};
  }));
}

TEST_F(Resume, PreferencesWithAdapters) {
  for (const char* loss : {"dpo", "kto"}) {
    SCOPED_TRACE(loss);
    expect_exact(with_adapter(preference(loss), R"({"kind": "lora", "r": 4, "dropout": 0.1})"));
    expect_exact(with_adapter(preference(loss), R"({"kind": "rslora", "r": 4, "base_bits": 4})"));
  }
}

TEST_F(Resume, RolloutsWithAdapters) {
  for (const int bits : {32, 8}) {
    SCOPED_TRACE(bits);
    JsonObject grpo =
        with_adapter(job("grpo",
                         [](int i) {
                           return JsonObject{{"prompt", "Tom and " + number(i)}, {"answer", "e"}};
                         }),
                     fmt::format(R"({{"kind": "lora", "r": 4, "base_bits": {}}})", bits).c_str());
    grpo["grpo"] = JsonObject{{"prompts_per_step", 2}, {"group_size", 4}, {"max_new_tokens", 5},
                              {"reward", "regex"},     {"beta", 0.1},     {"inner_epochs", 2}};
    expect_exact(grpo);
  }
}

TEST_F(Resume, SourceAndTargetOnTheWholeModelAndWithAnAdapter) {
  JsonObject write = job("sft", [](int i) {
    return JsonObject{{"prompt", "the cat of " + number(i)}, {"completion", "sat on " + number(i)}};
  });
  write["tokenizer"] = stories_.string();
  write["model"] = JsonObject{{"config", JsonObject{{"architectures", {"T5ForConditionalGeneration"}},
                                                    {"vocab_size", 512},
                                                    {"d_model", 32},
                                                    {"d_kv", 8},
                                                    {"d_ff", 64},
                                                    {"num_layers", 1},
                                                    {"num_heads", 4},
                                                    {"relative_attention_num_buckets", 8},
                                                    {"relative_attention_max_distance", 20},
                                                    {"feed_forward_proj", "gated-gelu"}}}};
  const testing::TrainRuns whole;
  whole.expect_exact_resume(write, {4, 9});
  write["model"] = JsonObject{{"init_from", (whole.folder() / "whole/model").string()}};
  expect_exact(with_adapter(write, R"({"kind": "lora", "r": 4, "base_bits": 8})"));
}

TEST_F(Resume, EmbeddingsWithAnAdapter) {
  JsonObject embed = job("embed", [](int i) {
    return JsonObject{{"anchor", "Tom saw " + number(i)}, {"positive", "It was number " + number(i)}};
  });
  embed["model"] =
      JsonObject{{"init_from", testing::write_small_bert(runs_.folder() / "bert", bert_).string()}};
  embed["max_seq_len"] = 32;
  embed["embed"] = JsonObject{{"batch_size", 4}};
  expect_exact(with_adapter(embed, R"({"kind": "dora", "r": 4})"));
}

TEST_F(Resume, WhatAnAdapterCannotTrainIsRefusedByName) {
  const auto refusal = [&](const char* name, const JsonObject& job) {
    const Path run = runs_.make(name, job);
    EXPECT_NE(runs_.finish(run).status, 0) << name;
    EXPECT_FALSE(std::filesystem::exists(run / "model"));
    return runs_.errors(run);
  };
  const char* lora = R"({"kind": "lora", "r": 4})";
  const auto labels = [](int i) {
    return JsonObject{{"text", number(i)}, {"label", i % 2 == 0 ? "even" : "odd"}};
  };
  const auto pairs = [](int i) {
    return JsonObject{{"prompt", number(i)}, {"chosen", "yes"}, {"rejected", "no"}};
  };
  EXPECT_THAT(refusal("classify", with_adapter(job("classify", labels), lora)),
              HasSubstr("adapters train no classification head"));
  EXPECT_THAT(refusal("reward", with_adapter(job("reward_model", pairs), lora)),
              HasSubstr("adapters train no classification head"));
  JsonObject embed = job("embed", [](int i) {
    return JsonObject{{"anchor", number(i)}, {"positive", number(i)}};
  });
  embed["model"] =
      JsonObject{{"init_from", testing::write_small_bert(runs_.folder() / "bert", bert_).string()}};
  embed["max_seq_len"] = 32;
  EXPECT_THAT(refusal("embed", with_adapter(embed, R"({"kind": "lora", "r": 4, "dropout": 0.1})")),
              HasSubstr("'dropout' of the adapter"));
  EXPECT_THAT(refusal("dpo", with_adapter(preference("dpo"),
                                          R"({"kind": "lora", "base_bits": 4, "start": "rounding"})")),
              HasSubstr("'start': \"rounding\" of 'adapter'"));
  // The same of settings that a loss does not have.
  JsonObject grpo = job("grpo", [](int i) { return JsonObject{{"prompt", number(i)}, {"answer", "e"}}; });
  grpo["neftune_alpha"] = 1;
  EXPECT_THAT(refusal("grpo", grpo), HasSubstr("'neftune_alpha' is of no use with the objective 'grpo'"));
  JsonObject distil = sft();
  distil["distil"] = JsonObject{{"teacher", stories_.string()}};
  distil["label_smoothing"] = 0.1;
  EXPECT_THAT(refusal("distil", distil), HasSubstr("'label_smoothing' is of no use with a teacher's"));
}

}  // namespace
}  // namespace volant
