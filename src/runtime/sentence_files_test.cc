// The files of sentence-transformers: what is written is read back, and what is not done is refused by name.
#include "runtime/sentence_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "support/scratch_dir.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

TEST(SentenceFiles, AreReadBackAsTheyWereWritten) {
  for (const Pooling pooling : {Pooling::kMean, Pooling::kFirst, Pooling::kLast})
    for (const bool normalize : {true, false}) {
      const testing::ScratchDir scratch;
      EXPECT_FALSE(has_sentence_settings(scratch.path()));
      ASSERT_TRUE(write_sentence_settings(
          scratch.path(), {.pooling = pooling, .normalize = normalize, .max_seq_length = 77}, 32));
      EXPECT_TRUE(has_sentence_settings(scratch.path()));
      const SentenceSettings back = read_sentence_settings(scratch.path(), 32).value();
      EXPECT_EQ(back.pooling, pooling);
      EXPECT_EQ(back.normalize, normalize);
      EXPECT_EQ(back.max_seq_length, 77);
      EXPECT_THAT(read_sentence_settings(scratch.path(), 64).error().to_string(),
                  HasSubstr("'word_embedding_dimension' is 32"));
    }
}

// The fields that sentence-transformers itself writes, as in all-MiniLM-L6-v2.
TEST(SentenceFiles, HaveTheFieldsOfSentenceTransformers) {
  const testing::ScratchDir scratch;
  ASSERT_TRUE(write_sentence_settings(
      scratch.path(), {.pooling = Pooling::kFirst, .normalize = true, .max_seq_length = 128}, 32));
  const auto json = [&](const char* file) { return parse_json(read_file(scratch / file).value()).value(); };
  const Json modules = json("modules.json");
  ASSERT_EQ(modules.as_array().size(), 3U);
  const char* const kTypes[] = {"Transformer", "Pooling", "Normalize"};
  const char* const kPaths[] = {"", "1_Pooling", "2_Normalize"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(modules.at(i).at("idx"), static_cast<int64_t>(i));
    EXPECT_EQ(modules.at(i).at("name"), Json(std::to_string(i)));
    EXPECT_EQ(modules.at(i).at("path"), kPaths[i]);
    EXPECT_EQ(modules.at(i).at("type"), Json(std::string("sentence_transformers.models.") + kTypes[i]));
  }
  EXPECT_EQ(json("1_Pooling/config.json"), Json(JsonObject{{"word_embedding_dimension", 32},
                                                           {"pooling_mode_cls_token", true},
                                                           {"pooling_mode_mean_tokens", false},
                                                           {"pooling_mode_max_tokens", false},
                                                           {"pooling_mode_mean_sqrt_len_tokens", false}}));
  EXPECT_EQ(json("sentence_bert_config.json"),
            Json(JsonObject{{"max_seq_length", 128}, {"do_lower_case", false}}));
}

TEST(SentenceFiles, AFolderWithoutThemMeansTheMeanOfLengthOne) {
  const testing::ScratchDir scratch;
  // What newer versions write when there are no prompts.
  ASSERT_TRUE(write_file_atomic(scratch / "config_sentence_transformers.json",
                                R"({"prompts": {}, "default_prompt_name": null})"));
  const SentenceSettings none = read_sentence_settings(scratch.path(), 32).value();
  EXPECT_EQ(none.pooling, Pooling::kMean);
  EXPECT_TRUE(none.normalize);
  EXPECT_EQ(none.max_seq_length, std::nullopt);
}

TEST(SentenceFiles, OtherWaysOfPoolingAreRefusedByName) {
  const testing::ScratchDir scratch;
  const auto refusal = [&](const char* pooling) {
    EXPECT_TRUE(write_file_atomic(scratch / "1_Pooling/config.json", pooling));
    return read_sentence_settings(scratch.path(), 32).error().to_string();
  };
  EXPECT_THAT(refusal(R"({"pooling_mode_max_tokens": true})"), HasSubstr("'pooling_mode_max_tokens'"));
  EXPECT_THAT(refusal(R"({"pooling_mode_mean_tokens": false})"), HasSubstr("got none"));
  EXPECT_THAT(refusal(R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true})"),
              HasSubstr("got several"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected a JSON object"));
}

}  // namespace
}  // namespace volant
