#include "eval/robustness/perturb.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "eval/metrics/edit_distance.h"
#include "text/unicode.h"

namespace volant {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr const char* kText = "The quick brown fox jumps over 13 lazy dogs, and then it sleeps: why?";

std::string changed(Perturbation kind, double rate, uint64_t seed = 1, const char* text = kText) {
  return perturb(text, kind, {.rate = rate, .seed = seed}).value();
}

TEST(Perturb, TheSeedDecidesAndRateZeroChangesNothing) {
  for (const Perturbation kind : {Perturbation::kTypos, Perturbation::kRandomCase, Perturbation::kHomoglyphs,
                                  Perturbation::kWordSwap}) {
    EXPECT_EQ(changed(kind, 0.3), changed(kind, 0.3)) << perturbation_name(kind);
    EXPECT_NE(changed(kind, 0.3), changed(kind, 0.3, 2)) << perturbation_name(kind);
    EXPECT_EQ(changed(kind, 0), kText) << perturbation_name(kind);
  }
}

TEST(Perturb, TyposAreAsManyAsAskedFor) {
  const std::string text(20'000, 'e');
  const double rate =
      static_cast<double>(edit_distance(text, changed(Perturbation::kTypos, 0.1, 1, text.c_str())).value()) /
      static_cast<double>(text.size());
  // A swap of equal letters shows nothing, and an edit may make up for another: fewer show than were made.
  EXPECT_GT(rate, 0.02);
  EXPECT_LT(rate, 0.1);
  EXPECT_THAT(changed(Perturbation::kTypos, 1), HasSubstr("13"));  // digits stay
}

TEST(Perturb, CaseChangesLettersOnly) {
  EXPECT_EQ(changed(Perturbation::kUpperCase, 0),
            "THE QUICK BROWN FOX JUMPS OVER 13 LAZY DOGS, AND THEN IT SLEEPS: WHY?");
  const std::string random = changed(Perturbation::kRandomCase, 0.5);
  EXPECT_NE(random, kText);
  EXPECT_EQ(to_lower(random), to_lower(kText));
}

TEST(Perturb, HomoglyphsLookTheSameAndAreNot) {
  const std::string text = changed(Perturbation::kHomoglyphs, 1, 1, "cope X1,");
  EXPECT_EQ(text, "соре Х１，");
  EXPECT_EQ(count_code_points(text), 8);
}

TEST(Perturb, SwappedWordsKeepTheirBlanks) {
  EXPECT_EQ(changed(Perturbation::kWordSwap, 1, 1, "one  two\nthree four"), "two  one\nfour three");
  EXPECT_EQ(changed(Perturbation::kWordSwap, 1, 1, "天气很好"), "气天好很");
}

TEST(Perturb, WhiteSpaceAddsBlanksOnly) {
  std::string text = changed(Perturbation::kWhiteSpace, 1, 1, "a b c d");
  EXPECT_EQ(text.front(), ' ');
  EXPECT_EQ(text.back(), ' ');
  std::u32string letters = to_code_points(text);
  std::erase_if(letters, is_white_space);
  EXPECT_EQ(letters, U"abcd");
}

TEST(Perturb, ChineseGoesBetweenItsScripts) {
  EXPECT_EQ(changed(Perturbation::kTraditional, 0, 1, "汉语学习"), "漢語學習");
  EXPECT_EQ(changed(Perturbation::kSimplified, 0, 1, "漢語學習"), "汉语学习");
}

TEST(Perturb, EmptyAndLong) {
  EXPECT_EQ(changed(Perturbation::kEmpty, 0), "");
  const std::string text = perturb(kText, Perturbation::kLong, {.long_characters = 5000}).value();
  EXPECT_GE(text.size(), 5000);
  EXPECT_LT(text.size(), 5200);
  EXPECT_THAT(text, EndsWith(kText));
}

TEST(Perturb, BadOptionsAreNamed) {
  EXPECT_THAT(find_perturbation("typo").error().message, HasSubstr("did you mean 'typos'?"));
  EXPECT_THAT(perturb("x", Perturbation::kTypos, {.rate = 2}).error().message, HasSubstr("got 2"));
  EXPECT_EQ(perturb("x", Perturbation::kLong, {.long_characters = 1ULL << 40}).error().code,
            ErrorCode::kLimit);
}

TEST(Perturb, AnotherOrderOfOptionsKeepsTheRightOne) {
  Suite suite{.name = "s", .format = "choice", .kind = SuiteKind::kChoice};
  for (int i = 0; i < 20; ++i)
    suite.rows.push_back({.question = "q", .choices = {"a", "b", "c", "right"}, .answer = 3});
  const Suite other = perturb_suite(suite, Perturbation::kOptionOrder).value();
  bool moved = false;
  for (const SuiteRow& row : other.rows) {
    EXPECT_EQ(row.choices[static_cast<size_t>(row.answer)], "right");
    moved = moved || row.answer != 3;
    std::vector<std::string> sorted = row.choices;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted, suite.rows[0].choices);
  }
  EXPECT_TRUE(moved);
  suite.kind = SuiteKind::kCode;
  EXPECT_EQ(perturb_suite(suite, Perturbation::kTypos).error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace volant
