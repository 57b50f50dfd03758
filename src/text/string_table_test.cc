#include "text/string_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace volant {
namespace {

// Short texts of few letters: many are empty and many come twice.
std::vector<std::string> some_texts(size_t n) {
  std::mt19937 random(7);
  std::vector<std::string> texts(n);
  for (std::string& text : texts)
    for (size_t left = random() % 9; left > 0; --left) text += static_cast<char>('a' + random() % 3);
  texts.emplace_back("a\0b", 3);
  return texts;
}

TEST(StringTableTest, HoldsEveryTextInOrder) {
  const std::vector<std::string> texts = some_texts(5000);
  const StringTable made = StringTable::make(texts).value();
  StringTable other = made;
  const StringTable table = std::move(other);
  ASSERT_EQ(table.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(table[i], texts[i]) << i;
  EXPECT_EQ(StringTable().size(), 0U);
  EXPECT_EQ(StringTable::make({}).value().size(), 0U);
}

TEST(StringTableTest, IndexGivesTheFirstNumberOfATextOrTheOnePutInItsPlace) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{2}, size_t{63}, size_t{5000}}) {
    const std::vector<std::string> texts = some_texts(n);
    const StringTable table = StringTable::make(texts).value();
    StringIndex index(table.size());
    std::map<std::string, int32_t> expected;
    for (size_t i = 0; i < texts.size(); ++i) {
      index.add(table, static_cast<int32_t>(i));
      expected.emplace(texts[i], static_cast<int32_t>(i));
    }
    for (size_t i = 0; i < texts.size(); i += 7) {
      index.replace(table, static_cast<int32_t>(i));
      expected[texts[i]] = static_cast<int32_t>(i);
    }
    for (const auto& [text, number] : expected) {
      EXPECT_EQ(index.find(table, text), number) << text;
      const std::string longer = text + "d";
      EXPECT_EQ(index.find(table, longer), std::nullopt) << longer;
    }
    EXPECT_EQ(index.find(table, "a"), expected.contains("a") ? std::optional(expected["a"]) : std::nullopt);
  }
  EXPECT_EQ(StringIndex().find(StringTable(), "a"), std::nullopt);
}

}  // namespace
}  // namespace volant
