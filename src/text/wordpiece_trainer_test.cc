#include "text/wordpiece_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "support/scratch_dir.h"
#include "text/unicode.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The same by counting everything anew at each step.
std::vector<std::string> learn_slowly(const std::map<std::string, int64_t>& words, size_t n_tokens,
                                      int64_t min_count) {
  std::map<std::string, int64_t> characters;
  std::vector<std::pair<std::vector<std::string>, int64_t>> split;
  for (const auto& [word, count] : words) {
    std::vector<std::string> pieces;
    for (const char c : word) pieces.push_back((pieces.empty() ? "" : "##") + std::string(1, c));
    for (const std::string& piece : pieces) characters[piece] += count;
    split.emplace_back(pieces, count);
  }
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [piece, count] : characters) order.emplace_back(-count, piece);
  std::sort(order.begin(), order.end());
  std::vector<std::string> tokens;
  for (const auto& [count, piece] : order) tokens.push_back(piece);
  const auto id = [&](const std::string& piece) {
    return std::find(tokens.begin(), tokens.end(), piece) - tokens.begin();
  };
  while (tokens.size() < n_tokens) {
    std::map<std::pair<int64_t, int64_t>, int64_t> pairs;
    for (const auto& [pieces, count] : split)
      for (size_t i = 0; i + 1 < pieces.size(); ++i) pairs[{id(pieces[i]), id(pieces[i + 1])}] += count;
    std::pair<int64_t, int64_t> best;
    int64_t most = 0;
    for (const auto& [pair, count] : pairs)
      if (count > most) std::tie(best, most) = std::pair(pair, count);
    if (most < min_count) break;
    const std::string left = tokens[static_cast<size_t>(best.first)],
                      right = tokens[static_cast<size_t>(best.second)];
    const std::string joined = left + right.substr(2);
    if (id(joined) == std::ssize(tokens)) tokens.push_back(joined);
    for (auto& [pieces, count] : split)
      for (size_t i = 0; i + 1 < pieces.size(); ++i)
        if (pieces[i] == left && pieces[i + 1] == right) {
          pieces[i] = joined;
          pieces.erase(pieces.begin() + static_cast<int64_t>(i) + 1);
        }
  }
  return tokens;
}

TEST(WordPieceTrainer, JoinsTheMostFrequentPairsOneAfterTheOther) {
  // ##s follows "u" and "##u" most often: hug 10, pug 5, pun 12, bun 4, hugs 5 (the example of the
  // literature).
  const std::map<std::string, int64_t> words{{"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 5}};
  EXPECT_THAT(learn_word_pieces(words, 10, 1),
              ElementsAre("##u", "##g", "p", "##n", "h", "##s", "b", "##ug", "##un", "hug"));
}

TEST(WordPieceTrainer, GivesWhatCountingAnewAtEveryStepGives) {
  Random random(7);
  for (int round = 0; round < 20; ++round) {
    std::map<std::string, int64_t> words;
    for (int i = 0; i < 30; ++i) {
      std::string word;
      for (uint64_t k = 1 + random.below(7); k > 0; --k) word += static_cast<char>('a' + random.below(3));
      words[word] += static_cast<int64_t>(1 + random.below(20));
    }
    EXPECT_EQ(learn_word_pieces(words, 40, 2), learn_slowly(words, 40, 2));
  }
}

TEST(WordPieceTrainer, TheVocabularyCutsTextsAsTransformersDoes) {
  std::vector<std::string> texts(20, "The cats were running, running home!");
  const auto tokenizer = train_wordpiece(texts, {.vocab_size = 200}).value();
  EXPECT_EQ(tokenizer->algorithm(), "wordpiece");
  std::vector<std::string> pieces;
  for (const int32_t id : tokenizer->encode("THE running cats! zebra"))
    pieces.push_back(tokenizer->token_text(id));
  EXPECT_THAT(pieces, ElementsAre("[CLS]", "the", "running", "cats", "!", "[UNK]", "[SEP]"));
  EXPECT_EQ(tokenizer->token_id("[PAD]"), 0);
  EXPECT_EQ(tokenizer->token_id("[MASK]"), 4);
}

TEST(WordPieceTrainer, HanCharactersAreWordsUnlessTheTextIsCutAlready) {
  const std::vector<std::string> texts(5, "味道 很好");
  const auto by_character = train_wordpiece(texts, {.vocab_size = 100}).value();
  const auto by_word = train_wordpiece(texts, {.vocab_size = 100, .split_han = false}).value();
  EXPECT_EQ(by_character->encode("味道", {.add_special = false}).size(), 2U);
  EXPECT_EQ(by_word->encode("味道", {.add_special = false}).size(), 1U);
}

TEST(WordPieceTrainer, ASavedVocabularyGivesTheSameIds) {
  const testing::ScratchDir dir;
  std::vector<std::string> texts;
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    std::string text;
    for (int k = 0; k < 6; ++k) {
      for (uint64_t n = 1 + random.below(6); n > 0; --n) text += static_cast<char>('a' + random.below(6));
      text += ' ';
    }
    texts.push_back(text);
  }
  const auto tokenizer = train_wordpiece(texts, {.vocab_size = 300}).value();
  EXPECT_EQ(tokenizer->n_vocab(), 300);
  ASSERT_TRUE(tokenizer->save(dir.path()));
  const auto again = load_tokenizer(dir.path()).value();
  for (const std::string& text : texts) EXPECT_EQ(again->encode(text), tokenizer->encode(text));
}

TEST(WordPieceTrainer, OptionsOutOfRangeAreRefused) {
  const std::vector<std::string> texts{"a"};
  EXPECT_THAT(train_wordpiece(texts, {.vocab_size = 3}).error().message, HasSubstr("vocab_size"));
  EXPECT_THAT(train_wordpiece(texts, {.min_count = 0}).error().message, HasSubstr("min_count"));
}

TEST(SeparateWords, PutsOneBlankBetweenWordsAndMarks) {
  EXPECT_EQ(separate_words("  A fine,  film. "), "A fine , film .");
  EXPECT_EQ(separate_words("味道很好，送餐快"), "味道 很好 ， 送 餐 快");
  EXPECT_EQ(separate_words(""), "");
}

}  // namespace
}  // namespace volant
