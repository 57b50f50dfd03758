#include "text/language.h"

#include <gtest/gtest.h>

#include <map>

#include "io/file.h"
#include "support/test_data.h"

namespace volant {
namespace {

TEST(Language, ShortTextsOfEastAsianScripts) {
  EXPECT_EQ(identify_language("你好").code, "zh");
  EXPECT_EQ(identify_language("你好").script, "Hans");
  EXPECT_EQ(identify_language("床前明月光，疑是地上霜。").code, "zh");
  EXPECT_EQ(identify_language("漢語的書寫系統").script, "Hant");
  EXPECT_EQ(identify_language("汉语的书写系统").script, "Hans");
  EXPECT_EQ(identify_language("今日はとても寒いです").code, "ja");
  EXPECT_EQ(identify_language("안녕하세요").code, "ko");
}

TEST(Language, LongerTextsAndTextsWithoutLetters) {
  EXPECT_EQ(identify_language("The children went home when it began to rain.").code, "en");
  EXPECT_EQ(
      identify_language("Wir gehen heute Abend zusammen ins Theater, wenn das Wetter schlecht ist.").code,
      "de");
  EXPECT_EQ(identify_language("我们用 Python 和 C++ 写程序").code, "zh");
  EXPECT_EQ(
      identify_language("The Chinese word 你好 means hello, and it is the first that people learn.").code,
      "en");
  EXPECT_EQ(identify_language("").code, "und");
  EXPECT_EQ(identify_language("12345 -- !!").code, "und");
  EXPECT_EQ(identify_language("\xFF\xFE\xC3").code, "und");
}

TEST(Language, SentencesOf79Languages) {
  VOLANT_DATA_OR_SKIP(path, "datasets/langid/sentences.tsv");
  const std::string rows = *read_file(path);
  std::map<std::string, std::pair<int, int>> right;  // of all
  for (size_t pos = 0; pos < rows.size();) {
    const size_t end = std::min(rows.find('\n', pos), rows.size());
    const std::string_view row = std::string_view(rows).substr(pos, end - pos);
    pos = end + 1;
    const size_t tab = row.find('\t');
    if (tab == std::string_view::npos) continue;
    auto& [good, all] = right[std::string(row.substr(0, tab))];
    good += identify_language(row.substr(tab + 1)).code == row.substr(0, tab) ? 1 : 0;
    ++all;
  }
  double macro = 0;
  for (const auto& [code, counts] : right) macro += static_cast<double>(counts.first) / counts.second;
  macro /= static_cast<double>(right.size());
  const auto share = [&](const char* code) {
    return static_cast<double>(right[code].first) / right[code].second;
  };
  RecordProperty("macro", std::to_string(macro));
  RecordProperty("en", std::to_string(share("en")));
  RecordProperty("zh", std::to_string(share("zh")));
  std::printf("langid: en %.3f, zh %.3f, macro %.3f over %zu languages\n", share("en"), share("zh"), macro,
              right.size());
  EXPECT_GE(share("en"), 0.95);
  EXPECT_GE(share("zh"), 0.99);
  EXPECT_GE(macro, 0.93);
}

}  // namespace
}  // namespace volant
