#include "wheel/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "io/jsonl.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

Path write(const Path& file, const std::string& text) {
  EXPECT_TRUE(write_file_atomic(file, text));
  return file;
}

TEST(Recipe, PathsAreThoseBesideItAndVariablesArePutIn) {
  const testing::ScratchDir dir;
  ::setenv("VOLANT_RECIPE_TEST", "from-the-environment", 1);
  const Path file = write(dir / "a/recipe.toml",
                          "objective = \"dpo\"\n[model]\ninit_from = \"../base\"\n[data]\n"
                          "train = [\"x.jsonl\", {path = \"/absolute/y.jsonl\", weight = 2}]\n"
                          "[train]\nnote = \"${VOLANT_RECIPE_TEST}/${VOLANT_RECIPE_NOT_SET:-other}\"\n");
  const Json recipe(load_recipe(file).value());
  EXPECT_EQ(recipe.at("model").at("init_from").as_string(), (dir / "base").string());
  EXPECT_EQ(recipe.at("data").at("train").at(0).as_string(), (dir / "a/x.jsonl").string());
  EXPECT_EQ(recipe.at("data").at("train").at(1).at("path").as_string(), "/absolute/y.jsonl");
  EXPECT_EQ(recipe.at("data").at("train").at(1).at("weight").as_int64(), 2);
  EXPECT_EQ(recipe.at("train").at("note").as_string(), "from-the-environment/other");
}

TEST(Recipe, MistakesAreNamedWithFileAndLine) {
  const testing::ScratchDir dir;
  const auto broken = load_recipe(write(dir / "broken.toml", "a = 1\nb = = 2\n"));
  EXPECT_THAT(broken.error().where, HasSubstr("broken.toml:2"));
  const auto unset = load_recipe(write(dir / "unset.toml", "tokenizer = \"${VOLANT_RECIPE_NOT_SET}\"\n"));
  EXPECT_THAT(unset.error().message, HasSubstr("VOLANT_RECIPE_NOT_SET is not set"));
  const auto no_model = write_recipe_job({{"data", JsonObject{}}}, dir / "run");
  EXPECT_THAT(no_model.error().message, HasSubstr("[model]"));
}

class RecipeJob : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto data = testing::test_data();
    if (!data) GTEST_SKIP() << "needs the test data folder; set VOLANT_TEST_DATA";
    model_ = *data / "models/stories260K";
  }
  Result<Path> job_of(const std::string& data, const std::string& objective = "") {
    const Path file =
        write(dir_ / "recipe.toml", (objective.empty() ? "" : "objective = \"" + objective + "\"\n") +
                                        "[model]\ninit_from = \"" + model_.string() + "\"\n[data]\n" + data +
                                        "[train]\nsteps = 7\n");
    return write_recipe_job(load_recipe(file).value(), dir_ / ("run" + std::to_string(n_runs_++)));
  }
  static Json read(const Path& file) { return parse_json(read_file(file).value()).value(); }

  testing::ScratchDir dir_;
  Path model_;
  int n_runs_ = 0;
};

TEST_F(RecipeJob, RowsSayWhatTheObjectiveIs) {
  write(dir_ / "alpaca.json", R"([{"instruction": "Hi", "input": "", "output": "Hello"}])");
  write(dir_ / "pairs.jsonl", R"({"prompt": "Hi", "chosen": "Hello", "rejected": "No"})"
                              "\n");
  write(dir_ / "story.txt", "Once upon a time");
  const Json sft = read(job_of("train = [\"alpaca.json\"]\n").value());
  EXPECT_EQ(sft.at("objective").as_string(), "sft");
  EXPECT_EQ(sft.at("steps").as_int64(), 7);
  const auto rows = read_jsonl(std::string(sft.at("data").at("train_rows").as_string())).value();
  EXPECT_EQ(rows.at(0).at("messages").at(1).at("content").as_string(), "Hello");
  const Json dpo = read(job_of("train = [\"pairs.jsonl\"]\n").value());
  EXPECT_EQ(dpo.at("objective").as_string(), "preference");
  EXPECT_EQ(dpo.at("preference").at("loss").as_string(), "dpo");
  const Json orpo = read(job_of("train = [\"pairs.jsonl\"]\n", "orpo").value());
  EXPECT_EQ(orpo.at("preference").at("loss").as_string(), "orpo");
  const Json pretrain = read(job_of("train = [\"story.txt\"]\n").value());
  EXPECT_EQ(pretrain.at("objective").as_string(), "pretrain");
  EXPECT_TRUE(pretrain.at("data").as_object().contains("train_shard"));
  write(dir_ / "poems.json", R"([{"id": "1", "author": "a", "title": "t", "paragraphs": ["Once", "upon"]}])");
  const Json poems = read(
      job_of("train = [{path = \"poems.json\", columns = {text = \"paragraphs\"}}]\n", "pretrain").value());
  EXPECT_TRUE(poems.at("data").as_object().contains("train_shard")) << "documents with more fields";
  EXPECT_THAT(job_of("train = [\"pairs.jsonl\", \"story.txt\"]\n").error().message, HasSubstr("one kind"));
  EXPECT_THAT(job_of("train = [\"story.txt\"]\nvalidtion = []\n").error().message,
              HasSubstr("did you mean 'validation'"));
}

TEST_F(RecipeJob, PredictionsHandOnTheirRowsTaskAndEncoder) {
  write(dir_ / "rows.jsonl", "{\"input\": {\"age\": 39}, \"label\": \"yes\"}\n");
  const Path file = write(dir_ / "recipe.toml",
                          "objective = \"predict\"\ntask = \"table\"\nencoder = \"income\"\n[model]\n"
                          "layers = [{type = \"dense\", units = 8}]\n[data]\ntrain = [\"rows.jsonl\"]\n"
                          "validation = [\"rows.jsonl\"]\n[train]\nepochs = 2\n[predict]\nbatch_size = 16\n");
  const Json job = read(write_recipe_job(load_recipe(file).value(), dir_ / "predictions").value());
  EXPECT_EQ(job.at("objective").as_string(), "predict");
  EXPECT_EQ(job.at("encoder").as_string(), (dir_ / "income").string());
  EXPECT_EQ(job.at("predict").at("batch_size").as_int64(), 16);
  EXPECT_EQ(job.at("model").at("config").at("layers").at(0).at("units").as_int64(), 8);
  EXPECT_FALSE(job.as_object().contains("tokenizer"));
  for (const char* key : {"train_rows", "validation_rows"}) {
    const auto rows = read_jsonl(std::string(job.at("data").at(key).as_string())).value();
    EXPECT_EQ(dump_json(rows.at(0)), R"({"input":{"age":39},"label":"yes"})");
  }
}

TEST_F(RecipeJob, HeldOutRowsAreTheSameEveryTimeAndNowhereElse) {
  std::string lines;
  for (int i = 0; i < 400; ++i) lines += fmt::format("{{\"prompt\": \"{}\", \"completion\": \"x\"}}\n", i);
  write(dir_ / "rows.jsonl", lines);
  const auto rows = [&](const char* key) {
    const Json job = read(job_of("train = [\"rows.jsonl\"]\nvalidation_share = 0.25\n").value());
    std::vector<std::string> texts;
    const auto all = read_jsonl(std::string(job.at("data").at(key).as_string())).value();
    for (const Json& row : all) texts.push_back(dump_json(row));
    return texts;
  };
  const std::vector<std::string> train = rows("train_rows"), held_out = rows("validation_rows");
  EXPECT_EQ(train.size() + held_out.size(), 400U);
  EXPECT_GT(held_out.size(), 70U);
  EXPECT_LT(held_out.size(), 130U);
  EXPECT_EQ(held_out, rows("validation_rows"));
  for (const std::string& row : held_out) EXPECT_THAT(train, ::testing::Not(::testing::Contains(row)));
}

TEST_F(RecipeJob, ATestPartTakesNothingFromValidation) {
  std::string lines;
  for (int i = 0; i < 400; ++i) lines += fmt::format("{{\"prompt\": \"{}\", \"completion\": \"x\"}}\n", i);
  write(dir_ / "rows.jsonl", lines);
  write(dir_ / "other.jsonl", "{\"prompt\": \"?\", \"completion\": \"!\"}\n");
  const auto rows = [](const Json& job, const char* key) {
    std::set<std::string> texts;
    const auto all = read_jsonl(std::string(job.at("data").at(key).as_string())).value();
    for (const Json& row : all) texts.insert(dump_json(row));
    return texts;
  };
  const std::string share = "train = [\"rows.jsonl\"]\nvalidation_share = 0.25\n";
  const Json without = read(job_of(share).value()),
             with = read(job_of(share + "test_share = 0.25\n").value());
  EXPECT_FALSE(without.at("data").as_object().contains("test_rows"));
  const std::set<std::string> train = rows(with, "train_rows"), validation = rows(with, "validation_rows"),
                              test = rows(with, "test_rows");
  EXPECT_EQ(validation, rows(without, "validation_rows"));
  std::set<std::string> all = train;
  all.insert(validation.begin(), validation.end());
  all.insert(test.begin(), test.end());
  EXPECT_EQ(train.size() + validation.size() + test.size(), 400U);
  EXPECT_EQ(all.size(), 400U);
  EXPECT_GT(test.size(), 70U);
  EXPECT_LT(test.size(), 130U);
  const Json named = read(job_of("train = [\"rows.jsonl\"]\ntest = [\"other.jsonl\"]\n").value());
  EXPECT_EQ(rows(named, "test_rows").size(), 1U);
  EXPECT_THAT(job_of(share + "test = [\"other.jsonl\"]\ntest_share = 0.1\n").error().message,
              HasSubstr("data.test_share"));
}

TEST_F(RecipeJob, DataThatTheTrainerMakesIsHandedOn) {
  const Json job = read(job_of("toy_arithmetic = {max = 9, n_train = 50}\n", "grpo").value());
  EXPECT_EQ(job.at("data").at("toy_arithmetic").at("max").as_int64(), 9);
  const Json sampled = read(job_of("sampled = {model = \"teacher\"}\n", "pretrain").value());
  EXPECT_EQ(sampled.at("data").at("sampled").at("model").as_string(), (dir_ / "teacher").string());
  EXPECT_THAT(job_of("toy_arithmetic = {}\n").error().message, HasSubstr("expected an 'objective'"));
  EXPECT_THAT(job_of("toy_arithmetic = {}\ntrain = [\"x\"]\n", "grpo").error().message,
              HasSubstr("unknown key 'train'"));
}

TEST_F(RecipeJob, ARunThatIsThereIsNotOverwritten) {
  write(dir_ / "story.txt", "Once upon a time");
  const Path job = job_of("train = [\"story.txt\"]\n").value();
  write(job.parent_path() / "events.jsonl", "{}\n");
  n_runs_ = 0;
  EXPECT_EQ(job_of("train = [\"story.txt\"]\n").error().code, ErrorCode::kAlreadyExists);
}

TEST_F(RecipeJob, AJobThatNoTrainerHasBegunIsWrittenAnew) {
  write(dir_ / "story.txt", "Once upon a time");
  write(dir_ / "other.txt", "Twice");
  (void)job_of("train = [\"story.txt\"]\nvalidation = [\"other.txt\"]\n").value();
  n_runs_ = 0;
  const Json job = read(job_of("train = [\"other.txt\"]\n", "sft").value());
  EXPECT_EQ(job.at("objective").as_string(), "sft");
  EXPECT_FALSE(job.at("data").as_object().contains("validation_shard"));
  const auto rows = read_jsonl(std::string(job.at("data").at("train_rows").as_string())).value();
  EXPECT_EQ(rows.at(0).at("text").as_string(), "Twice");
}

TEST_F(RecipeJob, AMistypedWordOrKeyIsRefusedBeforeAnythingIsWritten) {
  write(dir_ / "story.txt", "Once upon a time");
  const std::string data = "train = [\"story.txt\"]\n";
  EXPECT_EQ(
      job_of(data, "dop").error().message,
      "'objective': expected one of pretrain, sft, preference, grpo, classify, embed, reward_model, predict, dpo, "
      "ipo, kto, orpo, simpo, got 'dop', did you mean 'dpo'?");
  EXPECT_THAT(job_of(data + "[adapter]\nkind = \"lroa\"\n").error().message,
              HasSubstr("did you mean 'lora'"));
  EXPECT_THAT(job_of(data + "[grpo]\nreward = \"regexp\"\n").error().message,
              HasSubstr("'grpo.reward': expected one of"));
  EXPECT_EQ(job_of(data + "[prefrence]\nbeta = 1\n").error().message,
            "unknown key 'prefrence', did you mean 'preference'?");
  for (int run = 0; run < n_runs_; ++run)
    EXPECT_FALSE(std::filesystem::exists(dir_ / ("run" + std::to_string(run)))) << run;
}

TEST_F(RecipeJob, TheObjectiveMayStandInTheTableOfTheJob) {
  const JsonObject recipe{{"model", JsonObject{{"init_from", model_.string()}}},
                          {"data", JsonObject{{"toy_arithmetic", JsonObject{}}}},
                          {"train", JsonObject{{"objective", "grpo"}}}};
  const Json job = read(write_recipe_job(recipe, dir_ / "run").value());
  EXPECT_EQ(job.at("objective").as_string(), "grpo");
}

}  // namespace
}  // namespace volant
