#include "text/unicode.h"

#include <gtest/gtest.h>

namespace volant {
namespace {

TEST(Unicode, BrokenBytesBecomeOneMarkForEachPart) {
  EXPECT_TRUE(is_valid_utf8("aé你😀"));
  EXPECT_FALSE(is_valid_utf8("a\xC3"));
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));  // a surrogate
  EXPECT_FALSE(is_valid_utf8("\xC0\x80"));      // overlong
  EXPECT_EQ(to_valid_utf8("a\xF0\x9F\x98z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(to_valid_utf8("\xE0\x80\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(to_valid_utf8("12345678\xFF"), "12345678\xEF\xBF\xBD");
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(normalize_nfc("e\xCC\x81"), "é");
  EXPECT_EQ(normalize_nfd("é"), "e\xCC\x81");
  EXPECT_EQ(normalize_nfkc("ﬁ①Ａ"), "fi1A");
  EXPECT_EQ(normalize_nfc("plain"), "plain");
}

TEST(Unicode, CodePointsAndBack) {
  const std::string text = "aé你😀";
  EXPECT_EQ(to_code_points(text), U"aé你😀");
  EXPECT_EQ(from_code_points(U"aé你😀"), text);
  EXPECT_EQ(count_code_points(text), 4U);
}

TEST(Unicode, WordsAlsoOfChinese) {
  EXPECT_EQ(split_words("Hello, world 42!"), (std::vector<std::string>{"Hello", "world", "42"}));
  EXPECT_EQ(split_words("我们喜欢学习"), (std::vector<std::string>{"我们", "喜欢", "学习"}));
}

TEST(Unicode, TailsOfUnfinishedCharacters) {
  EXPECT_EQ(incomplete_utf8_tail("abc"), 0U);
  EXPECT_EQ(incomplete_utf8_tail("ab\xE4"), 1U);
  EXPECT_EQ(incomplete_utf8_tail("ab\xE4\xBD"), 2U);
  EXPECT_EQ(incomplete_utf8_tail("你"), 0U);
  EXPECT_EQ(incomplete_utf8_tail("\xF0\x9F\x98"), 3U);
  EXPECT_EQ(incomplete_utf8_tail("\xE0\x80"), 0U);  // never becomes a character
  EXPECT_EQ(incomplete_utf8_tail("\xFF"), 0U);
  EXPECT_EQ(incomplete_utf8_tail("\x80\x80\x80"), 0U);
}

TEST(Unicode, Classes) {
  EXPECT_TRUE(is_han(U'汉'));
  EXPECT_FALSE(is_han(U'a'));
  EXPECT_TRUE(is_letter(U'é'));
  EXPECT_TRUE(is_number(U'Ⅷ'));
  EXPECT_TRUE(is_white_space(0x3000));
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_EQ(to_upper("straße"), "STRASSE");
  EXPECT_EQ(to_title("hello WORLD"), "Hello World");
}

}  // namespace
}  // namespace volant
