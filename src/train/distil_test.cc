// Distillation as whole runs: from a teacher's probabilities, from its answers, and from documents it tells.
#include <gmock/gmock.h>

#include "train/teacher_data.h"
#include "train/test_stories.h"

namespace volant {
namespace {

JsonObject distil_job(const Path& teacher) {
  return {{"objective", "pretrain"},
          {"model", testing::tiny_model()},
          {"tokenizer", teacher.string()},
          {"data", JsonObject{{"sampled", JsonObject{{"model", teacher.string()},
                                                     {"n_train", 60},
                                                     {"n_validation", 6},
                                                     {"max_tokens", 64}}}}},
          {"distil", JsonObject{{"teacher", teacher.string()}, {"temperature", 2}, {"alpha", 0.8}}},
          {"max_seq_len", 64},
          {"tokens_per_step", 256},
          {"micro_batch_tokens", 128},
          {"steps", 20},
          {"lr", 5e-3},
          {"warmup_steps", 2},
          {"evaluate_every", 10},
          {"checkpoint_every", 6},
          {"n_threads", 1}};
}

TEST(Distil, FromProbabilitiesGoesOnBitForBitAfterSigkill) {
  VOLANT_DATA_OR_SKIP(teacher, "models/stories260K");
  const testing::TrainRuns runs;
  runs.expect_exact_resume(distil_job(teacher), {3, 8, 15});
  // The loss is what it says it is made of.
  for (const Json& event : runs.events(runs.folder() / "whole")) {
    if (json_string(event, "type").value() != "step") continue;
    const Json& parts = event.at("metrics");
    EXPECT_NEAR(
        json_number(event, "loss").value(),
        0.8 * json_number(parts, "teacher_loss").value() + 0.2 * json_number(parts, "hard_loss").value(),
        1e-9);
  }
}

TEST(Distil, SampledDocumentsAreTheSameForTheSameSeed) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const testing::ScratchDir scratch;
  const auto tokenizer = load_tokenizer(model).value();
  SampledCorpus how{.model = model, .n_train = 5, .n_validation = 2, .max_tokens = 40};
  const auto documents = [&](const char* name) {
    EXPECT_TRUE(
        write_sampled_corpus(how, *tokenizer, 1, scratch / name, scratch / "validation", scratch / "test"));
    const TokenShard shard = TokenShard::open(scratch / name).value();
    std::vector<std::vector<int32_t>> all;
    for (uint64_t i = 0; i < shard.n_documents(); ++i) all.push_back(shard.document(i));
    return all;
  };
  const auto one = documents("one");
  ASSERT_EQ(one.size(), 5U);
  for (const auto& document : one) {
    EXPECT_EQ(document.front(), tokenizer->bos_id());
    EXPECT_LE(document.size(), 40U);
  }
  EXPECT_EQ(documents("again"), one);
  how.seed = 2;
  EXPECT_NE(documents("other"), one);
}

TEST(Distil, FromSequencesTheStudentLearnsWhatTheTeacherAnswered) {
  VOLANT_DATA_OR_SKIP(teacher, "models/stories260K");
  const testing::TrainRuns runs;
  JsonObject job = distil_job(teacher);
  job["objective"] = "sft";
  job["model"] = JsonObject{{"init_from", teacher.string()}};
  std::string rows;
  for (int i = 0; i < 8; ++i)
    rows += R"({"messages": [{"role": "user", "content": "Tell me of )" + std::to_string(i) +
            R"( cats"}, {"role": "assistant", "content": "not this"}]})" + "\n";
  ASSERT_TRUE(write_file_atomic(runs.folder() / "rows.jsonl", rows));
  job["data"] = JsonObject{{"train_rows", (runs.folder() / "rows.jsonl").string()}};
  job["distil"] = JsonObject{{"teacher", teacher.string()}, {"from", "sequences"}, {"max_new_tokens", 400}};
  job["max_seq_len"] = 512;
  job["steps"] = 3;
  job["lr"] = 1e-4;
  const Path run = runs.make("run", job);
  ASSERT_EQ(runs.finish(run).status, 0) << runs.errors(run);
  const auto answered = read_jsonl(run / "teacher_rows.jsonl").value();
  ASSERT_GT(answered.size(), 0U);
  for (const Json& row : answered) {
    ASSERT_EQ(row.at("messages").as_array().size(), 2U);
    EXPECT_NE(row.at("messages").at(1).at("content").as_string(), "not this");
  }
}

TEST(Distil, ATeacherOfAnotherVocabularyIsRefused) {
  VOLANT_DATA_OR_SKIP(teacher, "models/stories260K");
  VOLANT_DATA_OR_SKIP(other, "models/tiny-gpt2");
  const testing::TrainRuns runs;
  JsonObject job = distil_job(teacher);
  job["distil"] = JsonObject{{"teacher", other.string()}};
  const Path run = runs.make("run", job);
  EXPECT_NE(runs.finish(run).status, 0);
  EXPECT_THAT(runs.errors(run), ::testing::HasSubstr("expected a teacher with the student's vocabulary"));
}

}  // namespace
}  // namespace volant
