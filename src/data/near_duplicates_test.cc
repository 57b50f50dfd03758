#include "data/near_duplicates.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/random.h"
#include "data/exact_duplicates.h"

namespace volant {
namespace {

double similarity(std::string_view a, std::string_view b) { return jaccard(shingles_of(a), shingles_of(b)); }

// An index over texts that are kept in memory.
struct Index {
  std::vector<std::string> kept;
  NearDuplicateIndex index;
  explicit Index(double threshold) : index(threshold, [this](uint64_t n) { return kept[n]; }) {}
  std::optional<NearDuplicate> add(const std::string& text) {
    const std::vector<uint64_t> shingles = shingles_of(text);
    std::optional<NearDuplicate> twin = index.add(kept.size(), shingles, min_hash(shingles));
    if (!twin) kept.push_back(text);
    return twin;
  }
};

TEST(NearDuplicates, CasePunctuationAndBlanksDoNotCount) {
  EXPECT_EQ(similarity("You can't have everything. Where would you put it?",
                       "you can’t  have everything...\nwhere would you put it"),
            1);
  EXPECT_EQ(similarity("床前明月光，疑是地上霜。", "床前明月光 疑是地上霜"), 1);
}

TEST(NearDuplicates, SignsOfArithmeticCount) {
  EXPECT_LT(similarity("What is 3 + 4 when x is 5?", "What is 3 - 4 when x is 5?"), 0.8);
}

TEST(NearDuplicates, OtherTextsAreNotAlike) {
  EXPECT_EQ(similarity("the quick brown fox", "jumps over lazy dogs"), 0);
  EXPECT_EQ(jaccard({1, 2, 3, 4}, {3, 4, 5, 6}), 2.0 / 6.0);
  EXPECT_EQ(jaccard({}, {}), 1);
}

TEST(NearDuplicates, TheEstimateComesCloseToTheRealSimilarity) {
  Random random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<uint64_t> a, b;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t both = random.next();
      if (i % 10 < round / 2) {
        a.push_back(both), b.push_back(both);
      } else {
        a.push_back(random.next()), b.push_back(random.next());
      }
    }
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    const MinHash x = min_hash(a), y = min_hash(b);
    int equal = 0;
    for (int i = 0; i < kMinHashSize; ++i) equal += x[static_cast<size_t>(i)] == y[static_cast<size_t>(i)];
    EXPECT_NEAR(static_cast<double>(equal) / kMinHashSize, jaccard(a, b), 4 * 0.5 / std::sqrt(kMinHashSize))
        << round;
  }
}

TEST(NearDuplicates, TheFirstOfThemStays) {
  Index index(0.8);
  EXPECT_FALSE(index.add(
      "Linux really is the best thing since sliced bread, said Vance Petree of Virginia Power yesterday"));
  EXPECT_FALSE(
      index.add("Something else altogether that nobody has said before in any of these little texts"));
  const auto twin = index.add(
      "\"Linux really IS the best thing since sliced bread\", said Vance Petree of Virginia Power -- "
      "yesterday!");
  ASSERT_TRUE(twin);
  EXPECT_EQ(twin->of, 0U);
  EXPECT_EQ(twin->similarity, 1);
  EXPECT_EQ(index.kept.size(), 2U);
}

TEST(NearDuplicates, NoTwoTextsThatStayAreAlike) {
  Random random(3);
  Index index(0.7);
  std::vector<std::string> words;
  for (int i = 0; i < 40; ++i) words.push_back("word" + std::to_string(i));
  for (int i = 0; i < 300; ++i) {  // variants of a few texts
    Random base(static_cast<uint64_t>(i % 10));
    std::string text;
    for (int w = 0; w < 60; ++w) {
      const std::string& word = words[base.below(words.size())];
      text += (random.uniform() < 0.03 ? words[random.below(words.size())] : word) + " ";
    }
    index.add(text);
  }
  EXPECT_GE(index.kept.size(), 10U);
  EXPECT_LT(index.kept.size(), 150U);
  for (size_t i = 0; i < index.kept.size(); ++i) {
    for (size_t k = 0; k < i; ++k) EXPECT_LT(similarity(index.kept[i], index.kept[k]), 0.7) << i << " " << k;
  }
}

RC_GTEST_PROP(ExactDuplicatesProperty, ExactlyOneOfEqualTextsStays, ()) {
  const auto texts = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("a", "b", "A", "a ", " b", "ab", "a b", "É", "é", ""));
  ExactDuplicates seen;
  std::map<std::string, int> kept;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!seen.add(i, texts[i])) ++kept[text_for_digest(texts[i])];
  }
  for (const auto& [text, n] : kept) RC_ASSERT(n == 1);
  for (const std::string& text : texts) RC_ASSERT(kept[text_for_digest(text)] == 1);
}

TEST(ExactDuplicates, NamesTheFirst) {
  ExactDuplicates seen;
  EXPECT_FALSE(seen.add(0, "one"));
  EXPECT_FALSE(seen.add(1, "two"));
  EXPECT_EQ(seen.add(2, "  ONE\n"), 0U);
  EXPECT_FALSE(seen.add(3, "3 + 4"));
  EXPECT_FALSE(seen.add(4, "3 - 4"));
}

}  // namespace
}  // namespace volant
