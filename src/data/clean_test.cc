#include "data/clean.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "text/unicode.h"

namespace volant {
namespace {

std::string cleaned(std::string_view text) { return clean_text(text); }

TEST(Clean, RemovesTerminalColoursAndKeepsTheText) {
  CleanChanges changes;
  EXPECT_EQ(clean_text("\x1b[32m《感遇》\x1b[m\n\x1b[33m作者：張九齡\x1b[;m\n蘭葉春葳蕤", Normalization::kNfc,
                       &changes),
            "《感遇》\n作者：張九齡\n蘭葉春葳蕤");
  EXPECT_EQ(changes.names(), std::vector<std::string>{"ansi"});
  EXPECT_EQ(cleaned("\x1b[38;5;196mred\x1b[0m and \x1b]0;title\x07plain \x1b(Bset"), "red and plain set");
  EXPECT_EQ(cleaned("\x1b[;\x1b[34;1mnested"), "nested");
  EXPECT_EQ(cleaned("cut off \x1b["), "cut off");
}

TEST(Clean, ReadsOverstrikesAsAPrinterShowsThem) {
  EXPECT_EQ(cleaned("_\bw_\bo_\br_\bd"), "word");
  EXPECT_EQ(cleaned("*____\b\b\b\bonly* one"), "*only* one");
  EXPECT_EQ(cleaned("b\bbo\bol\bld\bd"), "bold");
  EXPECT_EQ(cleaned("Honor'\be de Balzac, c^\bot`\be, ,\bca"), "Honoré de Balzac, côtè, ça");
}

TEST(Clean, RepairsUtf8ThatWasReadAsLatin1EvenTwice) {
  EXPECT_EQ(cleaned("don\u00e2\u0080\u0099t"), "don’t");
  EXPECT_EQ(cleaned("don\u00c3\u00a2\u00c2\u0080\u00c2\u0099t"), "don’t");
  EXPECT_EQ(cleaned("café â la"), "café â la");
}

TEST(Clean, RemovesInvisibleCharactersButNotJoiners) {
  EXPECT_EQ(cleaned("\xEF\xBB\xBFzero\xE2\x80\x8Bwidth\xC2\xADsoft\xE2\x80\xAEturned\x07"
                    "bell"),
            "zerowidthsoftturnedbell");
  EXPECT_EQ(cleaned("می\u200cخواهم"), "می\u200cخواهم");
}

TEST(Clean, TidiesWhiteSpaceAndKeepsIndentation) {
  EXPECT_EQ(cleaned("\r\n  a\t\tb  c \r\n\r\n\r\n\r\n    d\xC2\xA0\xE3\x80\x80"
                    "e\n\n"),
            "  a b c\n\n    d e");
  EXPECT_EQ(cleaned("　　一段"), "一段");
  EXPECT_EQ(cleaned(" \n\t\n"), "");
}

TEST(Clean, ComposesCharacters) {
  EXPECT_EQ(cleaned("e\u0301"), "é");
  EXPECT_EQ(clean_text("ｆｕｌｌ", Normalization::kNfkc), "full");
  EXPECT_EQ(clean_text("ｆｕｌｌ", Normalization::kNfc), "ｆｕｌｌ");
}

TEST(Clean, ReplacesBytesThatAreNoUtf8) {
  CleanChanges changes;
  EXPECT_EQ(clean_text("ab\xFF"
                       "cd",
                       Normalization::kNfc, &changes),
            "ab\uFFFD"
            "cd");
  EXPECT_TRUE(changes.invalid_utf8);
}

TEST(Clean, RefusesUnknownNormalizations) {
  ASSERT_FALSE(normalization_of("nfx"));
  EXPECT_EQ(normalization_of("nfx").error().code, ErrorCode::kInvalidArgument);
}

// Pieces that interact: escapes, overstrikes, combining marks, blanks, mojibake, odd bytes.
rc::Gen<std::string> ugly_text() {
  const auto piece = rc::gen::element<std::string>(
      "a", "é", "e\u0301", "\u0301", "'", "_", "\b", "\b\b", "\x1b", "\x1b[", "\x1b[31m", "\x1b]0;", "\x07",
      "[0m", "\n", "\r", "\r\n", " ", "\t", "\u3000", "\u00a0", "\u00e2\u0080\u0099", "\u00c2", "\u0080",
      "\u200b", "\u200d", "漢", "一", "。", "\xFF", "\xE4\xBD", "𠀀", "\u2028", "\uFEFF", "1", "\f", "\u0344",
      "\u1100\u1161");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece),
                      [](const std::vector<std::string>& pieces) {
                        std::string out;
                        for (const std::string& p : pieces) out += p;
                        return out;
                      });
}

RC_GTEST_PROP(CleanProperty, CleaningACleanTextChangesNothing, ()) {
  const std::string text = *ugly_text();
  for (const Normalization form : {Normalization::kNone, Normalization::kNfc, Normalization::kNfkc}) {
    const std::string once = clean_text(text, form);
    RC_ASSERT(is_valid_utf8(once));
    CleanChanges changes;
    RC_ASSERT(clean_text(once, form, &changes) == once);
    RC_ASSERT(!changes.any());
  }
}

RC_GTEST_PROP(CleanProperty, NoControlCharacterIsLeft, ()) {
  for (const char32_t c : to_code_points(clean_text(*ugly_text()))) {
    RC_ASSERT(c >= 0x20 || c == '\n' || c == '\t');
    RC_ASSERT(c < 0x7F || c > 0x9F);
  }
}

}  // namespace
}  // namespace volant
