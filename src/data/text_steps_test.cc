// Quality, cutting, boilerplate and the split.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

#include "data/boilerplate.h"
#include "data/cut.h"
#include "data/quality.h"
#include "data/split.h"
#include "text/unicode.h"

namespace volant {
namespace {

std::string rule_of(std::string_view text, QualityOptions options = {}) {
  return judge_quality(measure_text(text), options).rule;
}

TEST(Quality, KeepsProsePoemsDialogueAndCode) {
  for (const char* text :
       {"It is a truth universally acknowledged, that a single man in possession of a good fortune, must be "
        "in want of a wife.",
        "床前明月光，\n疑是地上霜。\n舉頭望明月，\n低頭思故鄉。",
        "ROMEO:\nBut, soft! what light through yonder window breaks?\nIt is the east, and Juliet is the sun.",
        "for (int i = 0; i < count; ++i) {\n  total += values[i];  // the sum of everything\n}\nreturn total "
        "/ count;",
        "そうです。わたしは毎日日本語を勉強しています。",
        "Мороз и солнце; день чудесный! Ещё ты дремлешь, друг прелестный.",
        "有志者，事竟成。百二秦关终属楚。"}) {
    EXPECT_EQ(rule_of(text), "") << text;
  }
}

TEST(Quality, NamesTheRuleThatATextBreaks) {
  EXPECT_EQ(rule_of("too short"), "too_short");
  EXPECT_EQ(rule_of("\t\t ( /\\____/\\ )\n\t\t \\(^ @___..___@ ^)/\n\t\t /\\ (\\/\\/\\/\\/) /\\\n\t-( "
                    "\"\"\"\"\"\"\"\" )"),
            "few_letters");
  EXPECT_EQ(rule_of("aaaaaaaaaaaaaaaaaaaaaaaaargh, he said to me"), "one_character_repeated");
  EXPECT_EQ(rule_of("call 1234 5678 910 1112 now abc defgh ijklm"), "mostly_digits");
  EXPECT_EQ(rule_of("a \uFFFD\uFFFD was here and \uFFFD is what we found in it"), "undecodable");
  EXPECT_EQ(rule_of("Buy it now\nBuy it now\nBuy it now\nBuy it now\nBuy it now\nor never"),
            "repeated_lines");
  std::string again;
  for (int i = 0; i < 30; ++i) again += "the cat sat on the mat and slept, ";
  EXPECT_EQ(rule_of(again), "repeated_phrases");
  EXPECT_EQ(rule_of("a b c d e f g h i j k l m n o p q r s t u v w x y z"), "odd_word_length");
  std::string blob;
  for (int i = 0; i < 400; ++i) blob += static_cast<char>('a' + i * 7 % 26);
  EXPECT_EQ(rule_of("this is a blob of letters " + blob), "no_words");
  EXPECT_EQ(rule_of("ab\ncd\nef\ngh\nij\nkl\nmn\nop\nqr\nst"), "short_lines");
}

TEST(Quality, ChineseCharactersCountTwice) {
  EXPECT_EQ(rule_of("星星之火，可以燎原，古人如是说"), "");
  EXPECT_EQ(rule_of("星星之火"), "too_short");
}

TEST(Quality, RulesCanBeLeftOut) {
  EXPECT_EQ(rule_of("too short", {.skip_rules = {"too_short"}}), "");
  for (const std::string& rule : quality_rules()) EXPECT_FALSE(rule.empty());
}

TEST(Quality, AnEmptyTextIsTooShort) { EXPECT_EQ(rule_of(""), "too_short"); }

RC_GTEST_PROP(QualityProperty, MeasuresAreShares, (const std::string& text)) {
  const TextMeasures m = measure_text(to_valid_utf8(text));
  for (const double share :
       {m.letters, m.digits, m.symbols, m.punctuation, m.longest_run, m.repeated_lines, m.repeated_ngrams}) {
    RC_ASSERT(share >= 0 && share <= 1);
  }
  const QualityVerdict verdict = judge_quality(m, {});
  RC_ASSERT(verdict.score >= 0 && verdict.score <= 1);
  RC_ASSERT(verdict.keep == verdict.rule.empty());
}

TEST(Cut, CutsAtParagraphsThenLinesThenSentences) {
  EXPECT_EQ(cut_text("short", 10), std::vector<std::string>{"short"});
  EXPECT_EQ(cut_text("aaaa bbbb.\n\ncccc\ndddd eeee", 16),
            (std::vector<std::string>{"aaaa bbbb.", "cccc\ndddd eeee"}));
  EXPECT_EQ(cut_text("one. two. three four", 11), (std::vector<std::string>{"one. two.", "three four"}));
  EXPECT_EQ(cut_text("春眠不覺曉。處處聞啼鳥。", 8),
            (std::vector<std::string>{"春眠不覺曉。", "處處聞啼鳥。"}));
  EXPECT_EQ(cut_text("abcdefgh", 3), (std::vector<std::string>{"abc", "def", "gh"}));
}

RC_GTEST_PROP(CutProperty, PiecesFitAndHoldEverythingButBlanks, ()) {
  const auto piece = rc::gen::element<std::string>("a", "漢", "é", " ", "\n", "\n\n", ". ", "。", "word");
  std::string text;
  for (const std::string& p : *rc::gen::container<std::vector<std::string>>(piece)) text += p;
  const uint64_t limit = static_cast<uint64_t>(*rc::gen::inRange(1, 20));
  std::string joined, expected;
  for (const std::string& part : cut_text(text, limit)) {
    RC_ASSERT(count_code_points(part) <= limit);
    joined += part;
  }
  for (std::string* s : {&joined, &text}) std::erase_if(*s, [](char c) { return c == ' ' || c == '\n'; });
  RC_ASSERT(joined == text);
}

TEST(Boilerplate, RemovesLinesThatManyDocumentsOfASourceShare) {
  Boilerplate boilerplate;
  const auto page = [](int i) {
    return "Page " + std::to_string(i) + " says something\n\nHome | About | Contact\nMore of page " +
           std::to_string(i);
  };
  for (int i = 0; i < 100; ++i) boilerplate.count("site", page(i));
  for (int i = 0; i < 100; ++i)
    boilerplate.count("other", i < 10 ? "Home | About | Contact" : "text " + std::to_string(i));
  boilerplate.finish();
  EXPECT_EQ(boilerplate.n_lines(), 1U);
  uint64_t removed = 0;
  EXPECT_EQ(boilerplate.remove("site", page(3), &removed), "Page 3 says something\n\nMore of page 3");
  EXPECT_EQ(removed, 1U);
  EXPECT_EQ(boilerplate.remove("other", "Home | About | Contact", &removed), "Home | About | Contact");
  EXPECT_EQ(removed, 1U);
}

TEST(Boilerplate, FewDocumentsHaveNone) {
  Boilerplate boilerplate;
  for (int i = 0; i < 19; ++i) boilerplate.count("site", "the same line everywhere");
  boilerplate.finish();
  EXPECT_EQ(boilerplate.n_lines(), 0U);
}

TEST(Split, TheSameTextIsAlwaysInTheSameSplit) {
  EXPECT_EQ(split_position("Some text"), split_position("  some\n text "));
  EXPECT_NE(split_position("Some text"), split_position("Some texts"));
  EXPECT_EQ(split_of(0.01, 0.05, 0.05), std::string("test"));
  EXPECT_EQ(split_of(0.07, 0.05, 0.05), std::string("validation"));
  EXPECT_EQ(split_of(0.5, 0.05, 0.05), std::string("train"));
}

TEST(Split, SharesComeOutAsAsked) {
  std::map<std::string, int> counts;
  for (int i = 0; i < 20000; ++i) ++counts[split_of(split_position("text " + std::to_string(i)), 0.1, 0.05)];
  EXPECT_NEAR(counts["validation"], 2000, 150);
  EXPECT_NEAR(counts["test"], 1000, 110);
}

TEST(Split, NoSplitThatIsAskedForStaysEmpty) {
  const auto count = [](const std::vector<const char*>& splits, const char* name) {
    return std::count_if(splits.begin(), splits.end(),
                         [&](const char* s) { return std::strcmp(s, name) == 0; });
  };
  const std::vector<const char*> three = assign_splits({0.9, 0.8, 0.7}, 0.05, 0.05);
  EXPECT_EQ(std::vector<std::string>(three.begin(), three.end()),
            (std::vector<std::string>{"train", "test", "validation"}));
  EXPECT_EQ(count(assign_splits({0.01}, 0.05, 0.05), "train"), 1);
  EXPECT_EQ(count(assign_splits({0.9, 0.8}, 0, 0), "train"), 2);
  EXPECT_TRUE(assign_splits({}, 0.1, 0.1).empty());
}

}  // namespace
}  // namespace volant
