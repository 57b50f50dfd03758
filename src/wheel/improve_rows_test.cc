#include "wheel/improve_rows.h"

#include <gmock/gmock.h>

#include <map>

#include "io/jsonl.h"
#include "support/scratch_dir.h"
#include "support/test_data.h"

namespace volant {
namespace {

using volant::testing::ScratchDir;

CuratedRow row(const std::string& question, const std::string& correction, int64_t weight = 1) {
  CuratedRow one;
  one.messages = {JsonObject{{"role", "user"}, {"content", question}},
                  JsonObject{{"role", "assistant"}, {"content", correction}}};
  one.weight = weight;
  return one;
}

class ImproveRowsTest : public ::testing::Test {
 protected:
  Path write_train_rows(int count) {
    JsonlWriter writer = JsonlWriter::create(dir_ / "train.jsonl").value();
    for (int i = 0; i < count; ++i) {
      writer.write(JsonObject{{"id", i}, {"text", fmt::format("Old text number {} about a quiet river.", i)}})
          .value();
    }
    writer.finish().value();
    return dir_ / "train.jsonl";
  }
  ScratchDir dir_;
};

TEST_F(ImproveRowsTest, MixesCopiesOfCorrectionsWithOldText) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto tokenizer = load_tokenizer(model).value();
  CuratedSet set;
  set.train = {row("one?", "yes"), row("two?", "no", 2)};
  ImproveSection config;
  config.steps = 5;
  config.replay_share = 0.5;
  const ImproveRows counts =
      write_improve_rows(set, write_train_rows(300), *tokenizer, config, 64, dir_ / "rows.jsonl").value();
  EXPECT_EQ(counts.steps, 5);
  std::map<std::string, int64_t> copies;
  int64_t texts = 0;
  const std::vector<Json> rows = read_jsonl(dir_ / "rows.jsonl").value();
  for (const Json& one : rows) {
    if (const Json* messages = json_find(one, "messages")) {
      EXPECT_EQ(json_find(one, "weight"), nullptr);
      ++copies[std::string(messages->at(0).at("content").as_string())];
    } else {
      ++texts;
    }
  }
  EXPECT_EQ(texts, counts.replay_rows);
  EXPECT_GT(texts, 50);
  EXPECT_LT(texts, 300);
  EXPECT_GE(copies["one?"], 24);
  EXPECT_EQ(copies["two?"], 2 * copies["one?"]);
}

TEST_F(ImproveRowsTest, ManyCorrectionsTakeMoreSteps) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto tokenizer = load_tokenizer(model).value();
  CuratedSet set;
  for (int i = 0; i < 400; ++i)
    set.train.push_back(row(fmt::format("question {}?", i), "a long answer of many words"));
  ImproveSection config;
  config.steps = 60;
  config.replay_share = 0.5;
  const ImproveRows counts =
      write_improve_rows(set, write_train_rows(10), *tokenizer, config, 64, dir_ / "rows.jsonl").value();
  EXPECT_GT(counts.steps, 100);
  EXPECT_LE(counts.steps, 600);
  EXPECT_EQ(counts.replay_rows, 10);
}

TEST_F(ImproveRowsTest, TheSameInputGivesTheSameBytes) {
  VOLANT_DATA_OR_SKIP(model, "models/stories260K");
  const auto tokenizer = load_tokenizer(model).value();
  CuratedSet set;
  set.train = {row("one?", "yes")};
  const Path train = write_train_rows(50);
  (void)write_improve_rows(set, train, *tokenizer, {}, 64, dir_ / "a.jsonl").value();
  (void)write_improve_rows(set, train, *tokenizer, {}, 64, dir_ / "b.jsonl").value();
  EXPECT_EQ(read_file(dir_ / "a.jsonl").value(), read_file(dir_ / "b.jsonl").value());
}

}  // namespace
}  // namespace volant
