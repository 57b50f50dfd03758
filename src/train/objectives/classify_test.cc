// Classifiers and embeddings as whole runs: they learn what can be learned, and go on exactly after SIGKILL.
#include <gmock/gmock.h>

#include "models/checkpoint.h"
#include "support/test_data.h"
#include "train/objectives/label_rows.h"
#include "train/test_run.h"

namespace volant {
namespace {

constexpr const char* kNames[] = {"Tom", "Lily", "Ben", "Anna", "Max", "Sue"};

// Sentences about a cat or a dog: the label is which.
std::string sentence(int i, bool cat) {
  return std::string(kNames[i % 6]) + " saw a " + (cat ? "cat" : "dog") + " in the " +
         (i % 2 == 0 ? "park" : "house") + ".";
}

Path write_rows(const testing::TrainRuns& runs, const std::string& name, const std::string& text) {
  const Path file = runs.folder() / name;
  EXPECT_TRUE(write_file_atomic(file, text));
  return file;
}

JsonObject job_on(const Path& model, const char* objective, const Path& rows) {
  return {{"objective", objective},
          {"model", JsonObject{{"init_from", model.string()}}},
          {"data", JsonObject{{"train_rows", rows.string()}, {"validation_rows", rows.string()}}},
          {"max_seq_len", 64},
          {"tokens_per_step", 256},
          {"micro_batch_tokens", 128},
          {"steps", 30},
          {"lr", 1e-3},
          {"warmup_steps", 2},
          {"evaluate_every", 15},
          {"checkpoint_every", 7},
          {"n_threads", 1}};
}

std::string label_rows() {
  std::string rows;
  for (int i = 0; i < 24; ++i)
    rows += dump_json(JsonObject{{"text", sentence(i, i % 3 == 0)}, {"label", i % 3 == 0 ? "cat" : "dog"}}) +
            "\n";
  return rows;
}

double figure(const Json& event, const char* name) {
  return event.at("metrics").at(name).at("value").to_number<double>();
}
Json last_evaluation(const Path& run) {
  Json last;
  for (const Json& event : testing::TrainRuns::events(run))
    if (json_string(event, "type").value() == "eval") last = event;
  return last;
}

TEST(Classify, ANewHeadOnALanguageModelLearnsTheLabelsAndKeepsTheirNames) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  JsonObject job = job_on(model, "classify", write_rows(runs, "rows.jsonl", label_rows()));
  job["classify"] = JsonObject{{"class_weights", "balanced"}};
  job["label_smoothing"] = 0.05;
  runs.expect_exact_resume(job, {3, 9, 20});
  const Path run = runs.folder() / "whole";
  EXPECT_EQ(figure(last_evaluation(run), "accuracy"), 1);
  EXPECT_EQ(figure(last_evaluation(run), "macro_f1"), 1);
  EXPECT_THAT(runs.errors(run), ::testing::HasSubstr("has no score.weight: random at first"));
  const Checkpoint trained = Checkpoint::open(run / "model").value();
  EXPECT_EQ(trained.config().architecture, "LlamaForSequenceClassification");
  EXPECT_EQ(trained.config().labels, (std::vector<std::string>{"cat", "dog"}));
}

TEST(Classify, ReadsCsvAndKeepsTheLabelsOfAClassifier) {
  VOLANT_DATA_OR_SKIP(model, "models/tiny-bert");
  const testing::TrainRuns runs;
  const std::vector<std::string> labels = Checkpoint::open(model).value().config().labels;
  std::string rows = "label,text,text_pair\n";
  for (int i = 0; i < 12; ++i) rows += labels[i % 2] + ",\"" + sentence(i, i % 2 == 0) + "\",and then\n";
  JsonObject job = job_on(model, "classify", write_rows(runs, "rows.csv", rows));
  const Path run = runs.make("run", job);
  ASSERT_EQ(runs.finish(run).status, 0) << runs.errors(run);
  EXPECT_EQ(Checkpoint::open(run / "model").value().config().labels, labels);
  EXPECT_GE(figure(last_evaluation(run), "accuracy"), 0.5);
}

TEST(Classify, WordsHaveLabelsOfTheirOwn) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::TrainRuns runs;
  std::string rows;
  for (int i = 0; i < 16; ++i) {
    const char* animal = i % 2 == 0 ? "cat" : "dog";
    rows += dump_json(JsonObject{{"tokens", JsonArray{kNames[i % 6], "saw", "a", animal}},
                                 {"tags", JsonArray{"NAME", "O", "O", "ANIMAL"}}}) +
            "\n";
  }
  const Path run = runs.make("run", job_on(model, "classify", write_rows(runs, "rows.jsonl", rows)));
  ASSERT_EQ(runs.finish(run).status, 0) << runs.errors(run);
  EXPECT_GE(figure(last_evaluation(run), "macro_f1"), 0.95);
  const Checkpoint trained = Checkpoint::open(run / "model").value();
  EXPECT_EQ(trained.config().architecture, "LlamaForTokenClassification");
  EXPECT_EQ(trained.config().labels, (std::vector<std::string>{"ANIMAL", "NAME", "O"}));
}

TEST(Classify, BadRowsAreErrorsWithTheirLine) {
  const testing::TrainRuns runs;
  const auto error = [&](const std::string& text) {
    const auto rows = read_label_rows(write_rows(runs, "rows.jsonl", text));
    return rows ? "accepted" : rows.error().to_string();
  };
  EXPECT_THAT(error(R"({"text": "a"})"), ::testing::HasSubstr("rows.jsonl:1"));
  EXPECT_THAT(error(R"({"text": "a", "label": 1.5})"), ::testing::HasSubstr("expected a label"));
  EXPECT_THAT(error(R"({"tokens": ["a", "b"], "tags": ["x"]})"), ::testing::HasSubstr("of one length"));
  EXPECT_THAT(error("{\"text\": \"a\", \"label\": 1}\n{\"tokens\": [\"a\"], \"tags\": [1]}\n"),
              ::testing::HasSubstr("got both"));
  EXPECT_THAT(error(""), ::testing::HasSubstr("got none"));
  const auto numbers = read_label_rows(write_rows(runs, "rows.jsonl",
                                                  "{\"text\": \"a\", \"label\": 10}\n{\"text\": \"b\", "
                                                  "\"label\": 9}\n"));
  EXPECT_EQ(label_names(numbers.value()), (std::vector<std::string>{"9", "10"}));
}

std::string pair_rows(int from, int to) {
  std::string rows;
  for (int i = from; i < to; ++i)
    rows += dump_json(JsonObject{{"anchor", sentence(i, i % 2 == 0)},
                                 {"positive", "The name is " + std::string(kNames[i % 6])},
                                 {"negative", JsonArray{"Nobody was there"}}}) +
            "\n";
  return rows;
}

JsonObject embed_job(const Path& tokenizer, const Path& rows) {
  JsonObject job = job_on(tokenizer, "embed", rows);
  job["model"] = JsonObject{{"config", JsonObject{{"architectures", JsonArray{"BertModel"}},
                                                  {"model_type", "bert"},
                                                  {"hidden_size", 32},
                                                  {"intermediate_size", 64},
                                                  {"num_hidden_layers", 1},
                                                  {"num_attention_heads", 2},
                                                  {"max_position_embeddings", 64}}}};
  job["tokenizer"] = tokenizer.string();
  job["embed"] = JsonObject{{"batch_size", 6}, {"temperature", 0.1}};
  job["steps"] = 60;
  job["lr"] = 3e-3;
  return job;
}

TEST(Embed, PairsFindEachOtherAndTheRunGoesOnBitForBitAfterSigkill) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-bert");
  const testing::TrainRuns runs;
  runs.expect_exact_resume(embed_job(tokenizer, write_rows(runs, "rows.jsonl", pair_rows(0, 6))),
                           {4, 11, 30});
  const Json last = last_evaluation(runs.folder() / "whole");
  EXPECT_GE(figure(last, "recall_at_1"), 0.8);
  EXPECT_GE(figure(last, "mrr"), figure(last, "recall_at_1"));
}

// In pieces through the model twice, or whole once: the same loss and gradient.
TEST(Embed, MicroBatchesChangeNothing) {
  VOLANT_DATA_OR_SKIP(tokenizer, "models/tiny-bert");
  const testing::TrainRuns runs;
  const Path rows = write_rows(runs, "rows.jsonl", pair_rows(0, 12));
  const auto losses = [&](const char* name, int micro_batch_tokens) {
    JsonObject job = embed_job(tokenizer, rows);
    job["steps"] = 5;
    job["micro_batch_tokens"] = micro_batch_tokens;
    job["dtype"] = "f32";
    const Path run = runs.make(name, job);
    EXPECT_EQ(runs.finish(run).status, 0) << runs.errors(run);
    std::vector<double> found;
    for (const Json& event : runs.events(run))
      if (json_string(event, "type").value() == "step") found.push_back(json_number(event, "loss").value());
    return found;
  };
  const std::vector<double> pieces = losses("pieces", 64), whole = losses("whole", 4096);
  ASSERT_EQ(pieces.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(pieces[i], whole[i], 1e-4);
}

}  // namespace
}  // namespace volant
