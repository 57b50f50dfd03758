#include "text/tokenizer_trainer.h"

#include <gtest/gtest.h>

#include "support/scratch_dir.h"
#include "support/test_data.h"
#include "text/chat_template.h"
#include "text/fertility.h"
#include "text/tokenizer.h"

namespace volant {
namespace {

std::vector<std::string> bilingual_texts() {
  const char* english[] = {"the boat", "a small house", "every morning", "our old teacher", "the river"};
  const char* verbs[] = {"carries", "keeps", "remembers", "follows", "describes"};
  const char* chinese[] = {"小船", "房子", "早晨", "老师", "河水"};
  const char* acts[] = {"带着", "守着", "记得", "跟着", "写下"};
  std::vector<std::string> texts;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j)
      for (int k = 0; k < 5; ++k) {
        texts.push_back(std::string(english[i]) + " " + verbs[j] + " " + english[k] + " in the year 20" +
                        std::to_string(10 * j + k) + ".\n  It was good.");
        texts.push_back(std::string(chinese[i]) + acts[j] + chinese[k] + "，我们都知道。");
      }
  return texts;
}

class TokenizerTrainer : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerTrainer, LearnsAVocabularyThatRoundTripsAnyText) {
  const testing::ScratchDir scratch;
  TokenizerTrainOptions options;
  options.algorithm = GetParam();
  options.vocab_size = 500;
  const auto made = train_tokenizer(bilingual_texts(), options, scratch.path());
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->n_texts, 250U);
  EXPECT_LE(made->n_vocab, 500);
  EXPECT_GT(made->n_vocab, 300);
  const auto loaded = load_tokenizer(scratch.path());
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  const Tokenizer& tokenizer = **loaded;
  EXPECT_EQ(tokenizer.n_vocab(), made->n_vocab);
  for (const std::string text : {"the boat", " two  blanks ", "\n\n line\tend\r\n",
                                 "河水跟着 ship №5 😀 été 2023", "<|user|>", "</s>", "", " "}) {
    const auto ids = tokenizer.encode(text, {true, false});
    EXPECT_EQ(ids[0], *tokenizer.bos_id());
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
  EXPECT_LT(tokenizer.encode("the boat carries the river", {false, true}).size(), 20U);
}

TEST_P(TokenizerTrainer, GivesTheSameModelForTheSameTexts) {
  const testing::ScratchDir a, b;
  TokenizerTrainOptions options;
  options.algorithm = GetParam();
  options.vocab_size = 500;
  ASSERT_TRUE(train_tokenizer(bilingual_texts(), options, a.path()));
  ASSERT_TRUE(train_tokenizer(bilingual_texts(), options, b.path()));
  EXPECT_EQ(*read_file(a / "tokenizer.model"), *read_file(b / "tokenizer.model"));
  EXPECT_EQ(*read_file(a / "tokenizer_config.json"), *read_file(b / "tokenizer_config.json"));
}

TEST_P(TokenizerTrainer, GoesThroughGgufUnchanged) {
  const testing::ScratchDir scratch;
  TokenizerTrainOptions options;
  options.algorithm = GetParam();
  options.vocab_size = 500;
  ASSERT_TRUE(train_tokenizer(bilingual_texts(), options, scratch.path()));
  const auto tokenizer = load_tokenizer(scratch.path());
  ASSERT_TRUE(tokenizer);
  ASSERT_TRUE(write_gguf(scratch / "v.gguf", (*tokenizer)->gguf_fields(), {}));
  const auto file = GgufFile::open(scratch / "v.gguf");
  ASSERT_TRUE(file);
  EXPECT_EQ(*file->get_string("tokenizer.ggml.model"), std::string(GetParam()) == "bpe" ? "llama" : "t5");
  const auto again = load_tokenizer(*file);
  ASSERT_TRUE(again) << again.error().to_string();
  for (const std::string& text : bilingual_texts())
    EXPECT_EQ((*again)->encode(text), (*tokenizer)->encode(text));
  const std::string chat = "<s><|user|>小船 2024<|end|><|assistant|>";
  EXPECT_EQ((*again)->encode(chat, {false, true}), (*tokenizer)->encode(chat, {false, true}));
}

INSTANTIATE_TEST_SUITE_P(Both, TokenizerTrainer, ::testing::Values("bpe", "unigram"),
                         [](const auto& one) { return std::string(one.param); });

TEST(TokenizerTrainerOptions, ControlTokensAreParsedFromTemplatesAndNotFromUsers) {
  const testing::ScratchDir scratch;
  TokenizerTrainOptions options;
  options.vocab_size = 500;
  ASSERT_TRUE(train_tokenizer(bilingual_texts(), options, scratch.path()));
  const auto tokenizer = load_tokenizer(scratch.path());
  ASSERT_TRUE(tokenizer);
  const auto chat = ChatTemplate::parse(default_chat_template());
  const auto text = chat->render(parse_json(R"([{"role":"user","content":"the boat"}])")->as_array(), true,
                                 {{"bos_token", "<s>"}});
  const auto ids = (*tokenizer)->encode(*text, {false, true});
  ASSERT_GT(ids.size(), 4U);
  EXPECT_EQ(ids.front(), *(*tokenizer)->token_id("<s>"));
  EXPECT_EQ(ids[1], *(*tokenizer)->token_id("<|user|>"));
  EXPECT_EQ(ids.back(), *(*tokenizer)->token_id("<|assistant|>"));
  EXPECT_EQ(ids[ids.size() - 2], *(*tokenizer)->token_id("<|end|>"));
  for (const int32_t id : (*tokenizer)->encode("<|user|><|end|></s>", {false, false}))
    EXPECT_FALSE((*tokenizer)->is_special(id));
}

TEST(TokenizerTrainerOptions, WrongOptionsAndTooLittleTextAreErrors) {
  const testing::ScratchDir scratch;
  TokenizerTrainOptions options;
  options.algorithm = "bep";
  EXPECT_EQ(train_tokenizer(bilingual_texts(), options, scratch.path()).error().code,
            ErrorCode::kInvalidArgument);
  options = {};
  options.vocab_size = 10;
  EXPECT_EQ(train_tokenizer(bilingual_texts(), options, scratch.path()).error().code,
            ErrorCode::kInvalidArgument);
  options = {};
  EXPECT_EQ(train_tokenizer(std::vector<std::string>{"hi"}, options, scratch.path()).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(scratch / "tokenizer.model"));
}

TEST(TokenizerTrainerOptions, AVocabularyWithoutRoomForTheCharactersIsRefused) {
  const testing::ScratchDir scratch;
  std::vector<std::string> texts;
  for (int i = 0; i < 2000; ++i) {  // U+4E00 to U+55CF
    const int c = 0x4E00 + i;
    texts.push_back({static_cast<char>(0xE0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 0x3F)),
                     static_cast<char>(0x80 | (c & 0x3F))});
  }
  TokenizerTrainOptions options;
  options.vocab_size = 512;
  const auto made = train_tokenizer(texts, options, scratch.path());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(made.error().message.find("take a larger vocab_size"), std::string::npos) << made.error().message;
}

TEST(TokenizerTrainerOptions, ReadsAShareOfTooMuchText) {
  const testing::ScratchDir scratch;
  TokenizerTrainOptions options;
  options.vocab_size = 450;
  options.max_bytes = 4000;
  const auto made = train_tokenizer(bilingual_texts(), options, scratch.path());
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_LE(made->n_bytes, 4000U);
  EXPECT_GT(made->n_bytes, 1000U);
}

TEST(Fertility, CountsTokensForEachLanguage) {
  VOLANT_DATA_OR_SKIP(folder, "models/minimind2-small");
  const auto tokenizer = load_tokenizer(folder);
  ASSERT_TRUE(tokenizer);
  Fertility fertility(**tokenizer);
  fertility.add("The children went home when it began to rain.");
  fertility.add("今天天气很好，我们去公园散步吧。");
  const Json report = tokenizer_report("bpe", fertility, (*tokenizer)->n_vocab());
  EXPECT_EQ(report.at("vocab_size").as_int64(), 6400);
  const Json& zh = report.at("languages").at("zh");
  EXPECT_DOUBLE_EQ(zh.at("byte_level_tokens_per_char").as_double(), 3.0);
  EXPECT_LT(zh.at("tokens_per_char").as_double(), 1.0);
  const Json& en = report.at("languages").at("en");
  EXPECT_DOUBLE_EQ(en.at("byte_level_tokens_per_char").as_double(), 1.0);
  EXPECT_LT(en.at("tokens_per_word").as_double(), 2.5);
  EXPECT_GT(report.at("all").at("bytes_per_token").as_double(), 2.0);
}

}  // namespace
}  // namespace volant
