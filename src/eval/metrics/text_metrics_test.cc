#include <gmock/gmock.h>

#include <cmath>

#include "eval/metrics/answer_match.h"
#include "eval/metrics/bleu.h"
#include "eval/metrics/chrf.h"
#include "eval/metrics/edit_distance.h"
#include "eval/metrics/golden_test_support.h"
#include "eval/metrics/rouge.h"
#include "eval/metrics/tokens.h"

namespace volant {
namespace {

using ::testing::ElementsAre;
using testing::golden_metrics;
constexpr double kTolerance = 1e-9;

std::vector<std::string> strings_of(const Json& array) {
  std::vector<std::string> strings;
  for (const Json& value : array.as_array()) strings.emplace_back(value.as_string());
  return strings;
}

BleuTokens tokens_named(const std::string& name) {
  return name == "13a" ? BleuTokens::k13a : name == "zh" ? BleuTokens::kZh : BleuTokens::kNone;
}

TEST(Bleu, TokensAndScoresAreSacreBleus) {
  const Json golden = golden_metrics("text.json");
  ASSERT_EQ(golden.as_array().size(), 3);
  for (const Json& corpus : golden.as_array()) {
    const BleuTokens kind = tokens_named(json_string(corpus, "tokenize").value());
    BleuCounts all;
    for (const Json& row : corpus.at("rows").as_array()) {
      const std::string hypothesis = json_string(row, "hypothesis").value();
      EXPECT_EQ(bleu_tokens(hypothesis, kind), split_white_space(json_string(row, "tokens").value()));
      const BleuCounts counts = bleu_counts(hypothesis, strings_of(row.at("references")), kind).value();
      EXPECT_NEAR(bleu(counts, true), json_number(row, "bleu").value(), kTolerance) << hypothesis;
      all += counts;
    }
    EXPECT_NEAR(bleu(all), json_number(corpus, "bleu").value(), kTolerance);
    EXPECT_GT(bleu(all), 1);
  }
}

TEST(Bleu, NothingRightIsZeroAndNoReferenceAnError) {
  const std::vector<std::string> reference{"completely different words"};
  EXPECT_EQ(bleu(bleu_counts("nope", reference, BleuTokens::k13a).value()), 0);
  EXPECT_EQ(bleu_counts("x", {}, BleuTokens::k13a).error().code, ErrorCode::kInvalidArgument);
}

TEST(Chrf, ScoresAreSacreBleus) {
  const Json golden = golden_metrics("text.json");
  for (const Json& corpus : golden.as_array()) {
    ChrfCounts all;
    for (const Json& row : corpus.at("rows").as_array()) {
      const std::string hypothesis = json_string(row, "hypothesis").value();
      const ChrfCounts counts = chrf_counts(hypothesis, strings_of(row.at("references"))).value();
      EXPECT_NEAR(chrf(counts), json_number(row, "chrf").value(), kTolerance) << hypothesis;
      all += counts;
    }
    EXPECT_NEAR(chrf(all), json_number(corpus, "chrf").value(), kTolerance);
  }
}

TEST(AnswerMatch, SquadDropsCasePunctuationAndArticles) {
  EXPECT_EQ(normalize_answer(" The  U.S. (a) Senate! "), "us senate");
  const std::vector<std::string> references{"the cat sat", "dog"};
  EXPECT_EQ(squad_score("Cat sat.", references).exact_match, 1);
  // 2 of 3 words shared with "cat sat": precision 2/3, recall 1.
  EXPECT_NEAR(squad_score("cat sat down", references).f1, 0.8, kTolerance);
  EXPECT_EQ(squad_score("cat sat down", references).exact_match, 0);
  // A bag, not a set: the second "cat" finds no partner.
  EXPECT_NEAR(squad_score("cat cat", references).f1, 2 * 0.5 * 0.5 / (0.5 + 0.5), kTolerance);
  EXPECT_EQ(squad_score("bird", references).f1, 0);
  EXPECT_EQ(squad_score("bird", {}).f1, 0);
}

TEST(AnswerMatch, ChineseCountsByCharacter) {
  const std::vector<std::string> references{"北京大学"};
  EXPECT_NEAR(squad_score("大学北京", references).f1, 1, kTolerance);  // a bag
  EXPECT_NEAR(squad_score("北京", references).f1, 2 * 1 * 0.5 / 1.5, kTolerance);
  EXPECT_NEAR(cmrc_score("大学北京", references).f1, 0.5, kTolerance);  // a run
}

TEST(AnswerMatch, CmrcLeavesOutItsPunctuation) {
  const std::vector<std::string> references{"《红楼梦》，1791年"};
  EXPECT_EQ(cmrc_score("红楼梦1791年。", references).exact_match, 1);
  // Segments: 红 楼 梦 1791 年 against 梦 1791 年: a run of 3.
  EXPECT_NEAR(cmrc_score("梦 1791 年", references).f1, 2 * 1 * 0.6 / 1.6, kTolerance);
  // A full stop of ASCII is not in the list, and a number keeps its point.
  const std::vector<std::string> number{"3.5米"};
  EXPECT_NEAR(cmrc_score("3.5 米.", number).f1, 2 * (2.0 / 3) * 1 / (5.0 / 3), kTolerance);
}

// Worked by hand after Lin (2004): "police killed the gunman" against "police kill the gunman".
TEST(Rouge, ScoresOfThePapersExample) {
  const auto one = rouge_n("Police kill the gunman.", "police killed the gunman", 1).value();
  EXPECT_NEAR(one.f1, 0.75, kTolerance);
  EXPECT_NEAR(rouge_n("the gunman kill police", "police killed the gunman", 2).value().f1, 1.0 / 3,
              kTolerance);
  EXPECT_NEAR(rouge_l("police kill the gunman", "police killed the gunman").value().recall, 0.75, kTolerance);
  EXPECT_NEAR(rouge_l("the gunman kill police", "police killed the gunman").value().recall, 0.5, kTolerance);
  EXPECT_NEAR(rouge_l("今天天气好", "今天天气很好").value().precision, 1, kTolerance);
  EXPECT_NEAR(rouge_l("今天天气好", "今天天气很好").value().recall, 5.0 / 6, kTolerance);
  EXPECT_EQ(rouge_n("", "x", 1).value().f1, 0);
  EXPECT_EQ(rouge_n("x", "x", 2).value().f1, 0);
  EXPECT_FALSE(rouge_n("x", "x", 0));
}

TEST(EditDistance, KnownPairs) {
  EXPECT_EQ(edit_distance("kitten", "sitting").value(), 3);
  EXPECT_EQ(edit_distance("", "abc").value(), 3);
  EXPECT_EQ(edit_distance("abc", "").value(), 3);
  EXPECT_EQ(edit_distance("天气很好", "天气好").value(), 1);  // characters, not bytes
  EXPECT_EQ(edit_distance("flaw", "lawn").value(), 2);
}

TEST(EditDistance, RatesAreOfSums) {
  EditCounts words = word_errors("the cat sat", "the cat sat down").value();
  words += word_errors("a b", "c d e f").value();
  EXPECT_EQ(words.distance, 5);
  EXPECT_NEAR(error_rate(words).value(), 5.0 / 8, kTolerance);
  EXPECT_NEAR(error_rate(character_errors("天汽", "天气").value()).value(), 0.5, kTolerance);
  EXPECT_FALSE(error_rate(EditCounts{}));
}

TEST(EditDistance, TextsThatTakeForeverAreRefused) {
  const std::string huge(200'000, 'a');
  EXPECT_EQ(edit_distance(huge, huge).error().code, ErrorCode::kLimit);
}

TEST(Tokens, WordsAreLowerCaseAndChineseByCharacter) {
  EXPECT_THAT(words_and_characters("Hello, C3PO世界! naïve"),
              ElementsAre("hello", "c3po", "世", "界", "naïve"));
}

}  // namespace
}  // namespace volant
