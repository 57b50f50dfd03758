// Texts: the rows of SST-2 and waimai as documented, tokenizers that models bring and that are learned here,
// words changed at random.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "tasks/text/text_augmenter.h"
#include "tasks/text/text_encoder.h"
#include "tasks/text/text_task.h"
#include "text/wordpiece_trainer.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Parts = std::map<std::string, std::vector<TaskRow>>;

Result<Parts> rows_of(const Json& data, const Path& base) {
  Parts rows;
  TRY(kTextTask.read(data, base, [&](TaskRow row, const char* part) -> Status {
    rows[part].push_back(std::move(row));
    return {};
  }));
  return rows;
}

Json text(const char* first, const char* second = nullptr) {
  JsonObject input{{"text", first}};
  if (second != nullptr) input["text_pair"] = second;
  return input;
}

std::map<std::string, int> counts_of(const std::vector<TaskRow>& rows) {
  std::map<std::string, int> counts;
  for (const TaskRow& row : rows) ++counts[row.label];
  return counts;
}

TEST(TextTask, Sst2HasTheRowsThatItsSourceDocuments) {
  VOLANT_DATA_OR_SKIP(sst2, "datasets/sst2");
  const Json data = JsonObject{{"train", "train.tsv"},
                               {"validation", "dev.tsv"},
                               {"test", "test.tsv"},
                               {"has_header", false},
                               {"label", 1}};
  auto read = rows_of(data, sst2);
  ASSERT_TRUE(read) << read.error().to_string();
  Parts& rows = *read;
  EXPECT_EQ(rows["train"].size(), 6'920U);
  EXPECT_EQ(rows["validation"].size(), 872U);
  EXPECT_EQ(rows["test"].size(), 1'821U);
  EXPECT_EQ(counts_of(rows["test"]).size(), 2U);
  EXPECT_EQ(*json_find(rows["test"][0].input, "text"), Json("no movement , no yuks , not much of anything"));
  EXPECT_EQ(rows["test"][0].label, "0");
  EXPECT_EQ(kTextTask.files(data, sst2)->size(), 3U);
}

TEST(TextTask, WaimaiHasTheRowsThatItsSourceDocuments) {
  VOLANT_DATA_OR_SKIP(waimai, "datasets/waimai_10k");
  auto read =
      rows_of(JsonObject{{"train", "waimai_10k.csv"}, {"text", "review"}, {"segment", "icu"}}, waimai);
  ASSERT_TRUE(read) << read.error().to_string();
  const std::vector<TaskRow>& rows = (*read)["all"];
  EXPECT_EQ(rows.size(), 11'987U);
  EXPECT_EQ(counts_of(rows), (std::map<std::string, int>{{"0", 7'987}, {"1", 4'000}}));
}

TEST(TextTask, ReadsJsonLinesAndFastText) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(
      write_file_atomic(dir / "a.jsonl",
                        "{\"body\": \"good\", \"stars\": 5}\n{\"id\": \"x\", \"input\": {\"text\": \"own\"}, "
                        "\"label\": \"1\"}\n"));
  ASSERT_TRUE(write_file_atomic(dir / "b.txt", "__label__5 fine film\n\n__label__1  bad\n"));
  const Json data = JsonObject{{"train", {"a.jsonl", "b.txt"}}, {"text", "body"}, {"label", "stars"}};
  auto read = rows_of(data, dir.path());
  ASSERT_TRUE(read) << read.error().to_string();
  const std::vector<TaskRow>& rows = (*read)["all"];
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(dump_json(to_json(rows[0])), R"({"id":"a.jsonl:1","input":{"text":"good"},"label":"5"})");
  EXPECT_EQ(dump_json(to_json(rows[1])), R"({"id":"x","input":{"text":"own"},"label":"1"})");
  EXPECT_EQ(dump_json(to_json(rows[2])), R"({"id":"b.txt:1","input":{"text":"fine film"},"label":"5"})");
  EXPECT_EQ(rows[3].id, "b.txt:3");
}

TEST(TextTask, WhatIsWrongIsNamed) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "a.csv", "review,label\ngood,\n"));
  ASSERT_TRUE(write_file_atomic(dir / "a.txt", "no label\n"));
  const auto message = [&](const JsonObject& data) {
    const auto rows = rows_of(data, dir.path());
    return rows ? std::string() : rows.error().to_string();
  };
  EXPECT_THAT(message({{"train", "a.csv"}, {"text", "reviw"}}), HasSubstr("did you mean 'review'"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"text", "review"}}), HasSubstr("a.csv:2: expected a label"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"has_header", false}, {"label", 5}}),
              HasSubstr("at least 6 fields"));
  EXPECT_THAT(message({{"train", "a.txt"}}), HasSubstr("__label__"));
  EXPECT_THAT(message({{"train", "a.doc"}}), HasSubstr(".jsonl"));
  EXPECT_THAT(message({{"train", "a.csv"}, {"segment", "jieba"}}), HasSubstr("\"none\", \"icu\""));
  EXPECT_THAT(message({{"text", "a"}}), HasSubstr("expected 'train'"));
}

std::vector<TaskRow> film_rows() {
  std::vector<TaskRow> rows;
  for (int i = 0; i < 30; ++i) {
    rows.push_back({.input = text("a good film with unforgettable dancers"), .label = "1"});
    rows.push_back({.input = text("a bad film about nothing"), .label = "0"});
  }
  return rows;
}

std::unique_ptr<InputEncoder> films(JsonObject data = {}) {
  data["train"] = "unused.csv";
  return kTextTask.learn(data, JsonObject(), ".", film_rows()).value();
}

std::vector<std::string> pieces_of(const InputEncoder& encoder, const EncodedInput& input) {
  std::vector<std::string> out;
  for (const int32_t id : input.tokens)
    out.push_back(dynamic_cast<const TextEncoder&>(encoder).tokenizer().token_text(id));
  return out;
}

TEST(TextEncoder, LearnsItsVocabularyFromTheTrainingTexts) {
  const auto encoder = films();
  EXPECT_THAT(pieces_of(*encoder, encoder->encode(text("A GOOD film")).value()),
              ElementsAre("[CLS]", "a", "good", "film", "[SEP]"));
  EXPECT_THAT(pieces_of(*encoder, encoder->encode(text("quiz")).value()),
              ElementsAre("[CLS]", "[UNK]", "[SEP]"));
  EXPECT_EQ(encoder->n_features(), 0);
  const Json small = JsonObject{{"max_position_embeddings", 32}};
  EXPECT_EQ(kTextTask.learn(JsonObject{{"train", "a.csv"}}, small, ".", film_rows()).value()->shape(),
            (std::vector<int64_t>{32}));
  EXPECT_EQ(encoder->shape(), (std::vector<int64_t>{128}));
}

TEST(TextEncoder, PairsHaveTypesAndFitTheLength) {
  const auto encoder = films({{"max_length", 8}});
  const EncodedInput pair = encoder->encode(text("a good film", "a bad film about nothing")).value();
  EXPECT_EQ(pair.tokens.size(), 8U);
  EXPECT_EQ(pair.types.size(), 8U);
  EXPECT_THAT(pieces_of(*encoder, pair),
              ElementsAre("[CLS]", "a", "good", "[SEP]", "a", "bad", "film", "[SEP]"));
  EXPECT_THAT(pair.types, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  EXPECT_TRUE(encoder->encode(text("a good film"))->types.empty());
}

TEST(TextEncoder, ATextCannotWriteSpecialTokens) {
  const auto encoder = films();
  const EncodedInput input = encoder->encode(text("a [SEP] film")).value();
  EXPECT_EQ(std::count(input.tokens.begin(), input.tokens.end(), 3), 1);  // the one at the end
}

TEST(TextEncoder, ATokenKnowsItsWord) {
  const auto encoder = films();
  const Json input = text("Good FILM", "a Bad one");
  EXPECT_EQ(encoder->origin(input, 0), "[CLS]");
  EXPECT_EQ(encoder->origin(input, 2), "FILM");
  EXPECT_EQ(encoder->origin(input, 5), "Bad");
  EXPECT_EQ(encoder->origin(input, 99), "");
}

TEST(TextEncoder, BadInputIsAnsweredByField) {
  const auto encoder = films();
  const auto message = [&](const Json& input) { return encoder->encode(input).error().message; };
  EXPECT_THAT(message(JsonObject{{"txt", "a"}}), HasSubstr("unknown field 'txt', did you mean 'text'"));
  EXPECT_THAT(message(JsonObject{{"text", 3}}), HasSubstr("field 'text': expected a text, got 3"));
  EXPECT_THAT(message(JsonObject{}), HasSubstr("expected a field 'text'"));
  EXPECT_THAT(message(Json("good film")), HasSubstr("an object such as {\"text\""));
}

TEST(TextEncoder, GivesTheSameIdsAfterSavingAndLoading) {
  for (const char* segment : {"none", "icu"}) {
    const testing::ScratchDir dir;
    const auto encoder = films({{"segment", segment}, {"max_length", 20}});
    ASSERT_TRUE(encoder->save(dir.path()));
    const auto again = load_encoder(dir.path());
    ASSERT_TRUE(again) << again.error().to_string();
    for (const char* words : {"a good film", "nothing unforgettable!", ""})
      EXPECT_EQ((*again)->encode(text(words))->tokens, encoder->encode(text(words))->tokens);
    EXPECT_EQ((*again)->schema(), encoder->schema());
    // vocab.txt alone says the same, as it does for BERT.
    ASSERT_TRUE(volant::remove_all(dir / "tokenizer.json"));
    EXPECT_EQ(load_encoder(dir.path()).value()->encode(text("unforgettable film"))->tokens,
              encoder->encode(text("unforgettable film"))->tokens);
  }
}

TEST(TextEncoder, SegmentedChineseIsReadInWords) {
  const std::vector<TaskRow> rows(10, {.input = text("味道很好"), .label = "1"});
  const Json data = JsonObject{{"train", "a.csv"}, {"segment", "icu"}};
  const auto encoder = kTextTask.learn(data, JsonObject(), ".", rows).value();
  EXPECT_THAT(pieces_of(*encoder, encoder->encode(text("很好，味道很好")).value()),
              ElementsAre("[CLS]", "很好", "[UNK]", "味道", "很好", "[SEP]"));
  EXPECT_EQ(encoder->origin(text("很好，味道很好"), 3), "味道");
}

TEST(TextEncoder, TakesTheTokenizerOfAModel) {
  VOLANT_DATA_OR_SKIP(model, "models/tiny-bert");
  const Json own = JsonObject{{"init_from", model.string()}};
  const auto encoder = kTextTask.learn(JsonObject{{"train", "a.csv"}}, own, ".", {});
  ASSERT_TRUE(encoder) << encoder.error().to_string();
  EXPECT_EQ((*encoder)->shape(), (std::vector<int64_t>{64}));  // the positions that it has
  const auto tokenizer = load_tokenizer(model).value();
  EXPECT_EQ((*encoder)->encode(text("a fine film"))->tokens, tokenizer->encode("a fine film"));
  const auto refused = kTextTask.learn(JsonObject{{"train", "a.csv"}, {"max_length", 65}}, own, ".", {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("64 positions"));
  EXPECT_FALSE(kTextTask.learn(JsonObject{{"train", "a.csv"}, {"vocab_size", 1000}}, own, ".", {}));
}

class AugmentedText : public ::testing::Test {
 protected:
  std::map<std::vector<std::string>, int> run(const TextAugmentation& how, const Json& input,
                                              const std::vector<Path>& dictionaries = {}) {
    const auto augmenter =
        TextAugmenter::create(dynamic_cast<const TextEncoder&>(*encoder_), how, dictionaries).value();
    const EncodedInput encoded = encoder_->encode(input).value();
    std::map<std::vector<std::string>, int> seen;
    Random random(1);
    for (int i = 0; i < 1000; ++i) {
      const EncodedInput out = (*augmenter)(input, encoded, random);
      EXPECT_EQ(out.types.empty(), encoded.types.empty());
      if (!out.types.empty()) {
        EXPECT_EQ(out.types.size(), out.tokens.size());
      }
      std::vector<std::string> pieces = pieces_of(*encoder_, out);
      EXPECT_EQ(pieces.front(), "[CLS]");
      EXPECT_EQ(pieces.back(), "[SEP]");
      ++seen[pieces];
    }
    return seen;
  }
  std::unique_ptr<InputEncoder> encoder_ = films();
};

TEST_F(AugmentedText, NothingAskedForChangesNothing) { EXPECT_EQ(run({}, text("a good film")).size(), 1U); }

TEST_F(AugmentedText, MasksItsShareOfTheTokens) {
  int masked = 0;
  for (const auto& [pieces, n] : run({.mask = 0.2}, text("a good film")))
    masked += n * static_cast<int>(std::count(pieces.begin(), pieces.end(), "[MASK]"));
  EXPECT_NEAR(masked / 3000.0, 0.2, 0.03);
}

TEST_F(AugmentedText, SwapsNeighboursAndNothingElse) {
  const auto seen = run({.swap = 0.5}, text("a good film"));
  EXPECT_EQ(seen.size(), 3U);
  EXPECT_TRUE(seen.contains({"[CLS]", "good", "a", "film", "[SEP]"}));
  EXPECT_TRUE(seen.contains({"[CLS]", "a", "film", "good", "[SEP]"}));
}

TEST_F(AugmentedText, LeavesOneWordAtLeast) {
  for (const auto& [pieces, n] : run({.remove = 1}, text("a good film"))) EXPECT_EQ(pieces.size(), 3U);
}

TEST_F(AugmentedText, ASwapStaysWithinATextOfAPair) {
  for (const auto& [pieces, n] : run({.swap = 1}, text("good", "bad")))
    EXPECT_THAT(pieces, ElementsAre("[CLS]", "good", "[SEP]", "bad", "[SEP]"));
}

TEST_F(AugmentedText, SynonymsComeFromTheFirstDictionaryThatHasTheWord) {
  const testing::ScratchDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "own.tsv", "Good\tunforgettable\n"));
  ASSERT_TRUE(write_file_atomic(dir / "all.tsv", "good\tbad\nfilm\tdancers\twith nothing\n"));
  const auto seen = run({.synonyms = 0.5}, text("a good film"), {dir / "own.tsv", dir / "all.tsv"});
  EXPECT_TRUE(seen.contains({"[CLS]", "a", "unforgettable", "dancers", "[SEP]"}));
  EXPECT_TRUE(seen.contains({"[CLS]", "a", "good", "with", "nothing", "[SEP]"}));
  for (const auto& [pieces, n] : seen) EXPECT_EQ(std::count(pieces.begin(), pieces.end(), "bad"), 0);
}

TEST_F(AugmentedText, WhatCannotBeDoneIsSaid) {
  EXPECT_THAT(kTextTask.augmenter(JsonObject{{"maks", 0.1}}, *encoder_).error().message, HasSubstr("'mask'"));
  EXPECT_THAT(kTextTask.augmenter(JsonObject{{"synonyms", 0.1}}, *encoder_).error().message,
              HasSubstr("expected both"));
  const testing::ScratchDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "bad.tsv", "word\n"));
  const auto bad = kTextTask.augmenter(
      JsonObject{{"synonyms", 0.1}, {"dictionaries", (dir / "bad.tsv").string()}}, *encoder_);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().to_string(), HasSubstr("bad.tsv:1"));
}

}  // namespace
}  // namespace volant
