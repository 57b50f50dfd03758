#include "text/charset.h"

#include <gtest/gtest.h>
#include <unicode/unistr.h>

#include "io/file.h"
#include "support/test_data.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr const char* kChinese =
    "中文文本的编码很多，最常用的是国标码和统一码。读取文件时应当自动识别，不要让用户操心。";
constexpr const char* kTraditional =
    "中文文本的編碼很多，最常用的是大五碼和統一碼。讀取檔案時應當自動識別，不要讓使用者操心。";
constexpr const char* kFrench =
    "Où êtes-vous allés cet été ? Nous avons préféré la forêt près de la frontière.";

std::string encoded(const std::string& utf8, const char* charset) {
  const icu::UnicodeString text = icu::UnicodeString::fromUTF8(utf8);
  std::string out(static_cast<size_t>(text.length()) * 4 + 16, '\0');
  const int32_t n = text.extract(0, text.length(), out.data(), static_cast<uint32_t>(out.size()), charset);
  out.resize(static_cast<size_t>(n));
  return out;
}

void expect_found(const std::string& utf8, const char* charset) {
  const auto got = decode_text(encoded(utf8, charset));
  ASSERT_TRUE(got) << charset << ": " << got.error().to_string();
  EXPECT_EQ(got->text, utf8) << charset;
  EXPECT_EQ(got->charset, charset);
  EXPECT_FALSE(got->lossy);
}

TEST(Charset, FindsTheCharsetOfTextsWithoutMark) {
  expect_found(kChinese, "UTF-8");
  expect_found(kChinese, "GB18030");
  expect_found(kChinese, "UTF-16LE");
  expect_found(kChinese, "UTF-16BE");
  expect_found(kTraditional, "Big5");
  expect_found(kFrench, "windows-1252");
  expect_found("plain words, nothing else", "UTF-8");
  expect_found("plain words in sixteen bits", "UTF-16LE");
  expect_found("plain words in sixteen bits", "UTF-16BE");
  expect_found("", "UTF-8");
}

TEST(Charset, ShortChineseTexts) {
  expect_found("你好，世界", "GB18030");
  expect_found("我们今天去公园", "GB18030");
  expect_found("今天的天氣很好", "Big5");
}

TEST(Charset, MarksDecideAndAreRemoved) {
  for (const auto& [mark, charset] : {std::pair<std::string, const char*>{"\xFF\xFE", "UTF-16LE"},
                                      {"\xFE\xFF", "UTF-16BE"},
                                      {"\xEF\xBB\xBF", "UTF-8"}}) {
    const auto got = decode_text(mark + encoded(kChinese, charset));
    ASSERT_TRUE(got);
    EXPECT_EQ(got->text, kChinese);
    EXPECT_EQ(got->charset, charset);
    const auto named = decode_text(mark + encoded(kChinese, charset), charset);
    ASSERT_TRUE(named);
    EXPECT_EQ(named->text, kChinese);
  }
}

TEST(Charset, AGivenNameIsFollowed) {
  EXPECT_EQ(decode_text(encoded(kFrench, "windows-1252"), "latin1")->text, kFrench);
  EXPECT_EQ(decode_text(encoded(kChinese, "GB18030"), "gbk")->text, kChinese);
  EXPECT_EQ(decode_text(encoded("日本語", "Shift_JIS"), "Shift_JIS")->text, "日本語");
  const auto lossy = decode_text("abc\xFFz", "UTF-8");
  ASSERT_TRUE(lossy);
  EXPECT_EQ(lossy->text, "abc\xEF\xBF\xBDz");
  EXPECT_TRUE(lossy->lossy);
  EXPECT_EQ(decode_text("abc", "UTF-99").error().code, ErrorCode::kUnsupported);
}

TEST(Charset, BytesThatAreNoTextAreRefused) {
  std::string noise;
  uint32_t x = 12345;
  for (int i = 0; i < 4000; ++i) noise.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  EXPECT_EQ(decode_text(noise).error().code, ErrorCode::kParse);
  EXPECT_EQ(decode_text(std::string("\x7F"
                                    "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0",
                                    24))
                .error()
                .code,
            ErrorCode::kParse);
}

TEST(Charset, TangPoemsInEveryChineseCharset) {
  VOLANT_DATA_OR_SKIP(folder, "datasets/tang-poems");
  const auto files = glob((folder / "**" / "*.json").string());
  ASSERT_TRUE(files);
  ASSERT_FALSE(files->empty());
  const std::string text = read_file(files->front())->substr(0, 60000);
  const std::string whole = text.substr(0, text.size() - incomplete_utf8_tail(text));
  for (const char* charset : {"UTF-8", "GB18030", "UTF-16LE", "UTF-16BE"}) expect_found(whole, charset);
}

}  // namespace
}  // namespace volant
