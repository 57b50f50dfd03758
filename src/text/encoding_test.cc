#include "text/encoding.h"

#include <gtest/gtest.h>

#include <numeric>

namespace volant {
namespace {

Encoding of_length(size_t n) {
  Encoding out;
  out.ids.resize(n);
  std::iota(out.ids.begin(), out.ids.end(), 0);
  out.type_ids.assign(n, 0);
  out.attention.assign(n, 1);
  out.special.assign(n, 0);
  out.text_of.assign(n, 0);
  out.offsets.assign(n, {});
  return out;
}

// Lengths of two texts after both are cut to `most` in all.
std::pair<size_t, size_t> cut(size_t a, size_t b, uint32_t most, Truncation::Strategy strategy) {
  Encoding first = of_length(a), second = of_length(b);
  Truncation how;
  how.max_length = most;
  how.strategy = strategy;
  const Status status = truncate(first, &second, 0, how);
  return status ? std::pair(first.size(), second.size()) : std::pair<size_t, size_t>(999, 999);
}

TEST(Truncate, CutsTheLongerTextFirstThenBothAlike) {
  using Strategy = Truncation::Strategy;
  using Pair = std::pair<size_t, size_t>;
  EXPECT_EQ(cut(3, 4, 7, Strategy::kLongestFirst), Pair(3, 4));
  EXPECT_EQ(cut(3, 9, 8, Strategy::kLongestFirst), Pair(3, 5));
  EXPECT_EQ(cut(9, 3, 8, Strategy::kLongestFirst), Pair(5, 3));
  EXPECT_EQ(cut(9, 9, 7, Strategy::kLongestFirst), Pair(3, 4));
  EXPECT_EQ(cut(9, 3, 8, Strategy::kOnlyFirst), Pair(5, 3));
  EXPECT_EQ(cut(3, 9, 8, Strategy::kOnlySecond), Pair(3, 5));
  EXPECT_EQ(cut(9, 8, 8, Strategy::kOnlyFirst), Pair(999, 999));
}

TEST(Truncate, WindowsShareTheStrideAndCoverTheText) {
  Encoding text = of_length(10);
  Truncation how;
  how.max_length = 6;  // two are put around
  how.stride = 1;
  ASSERT_TRUE(truncate(text, nullptr, 2, how));
  EXPECT_EQ(text.ids, (std::vector<int32_t>{0, 1, 2, 3}));
  ASSERT_EQ(text.overflow.size(), 2U);
  EXPECT_EQ(text.overflow[0].ids, (std::vector<int32_t>{3, 4, 5, 6}));
  EXPECT_EQ(text.overflow[1].ids, (std::vector<int32_t>{6, 7, 8, 9}));
  Encoding left = of_length(5);
  how = {3, Truncation::Strategy::kLongestFirst, 0, true};
  ASSERT_TRUE(truncate(left, nullptr, 0, how));
  EXPECT_EQ(left.ids, (std::vector<int32_t>{2, 3, 4}));
  EXPECT_EQ(left.overflow.at(0).ids, (std::vector<int32_t>{0, 1}));
}

TEST(Truncate, RefusesWhatCannotBe) {
  Encoding text = of_length(10);
  EXPECT_FALSE(truncate(text, nullptr, 3, {2, Truncation::Strategy::kLongestFirst, 0, false}));
  EXPECT_FALSE(truncate(text, nullptr, 0, {4, Truncation::Strategy::kLongestFirst, 4, false}));
  EXPECT_FALSE(truncate(text, nullptr, 0, {4, Truncation::Strategy::kOnlySecond, 0, false}));
  Encoding first = of_length(3), second = of_length(3);  // none and one are kept
  EXPECT_FALSE(truncate(first, &second, 0, {1, Truncation::Strategy::kLongestFirst, 1, false}));
  Encoding nothing = of_length(2);
  EXPECT_TRUE(truncate(nothing, nullptr, 2, {2, Truncation::Strategy::kLongestFirst, 0, false}));
  EXPECT_EQ(nothing.size(), 0U);
  Encoding large = of_length(1'000'000);
  const Status status =
      truncate(large, nullptr, 0, {10'000, Truncation::Strategy::kLongestFirst, 9'999, false});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kLimit);
}

TEST(Pad, FillsABatchToItsLongestOrAMultiple) {
  std::vector<Encoding> batch{of_length(2), of_length(5)};
  Padding how;
  how.id = 7;
  how.type_id = 1;
  pad(batch, how);
  EXPECT_EQ(batch[0].ids, (std::vector<int32_t>{0, 1, 7, 7, 7}));
  EXPECT_EQ(batch[0].attention, (std::vector<uint8_t>{1, 1, 0, 0, 0}));
  EXPECT_EQ(batch[0].special, (std::vector<uint8_t>{0, 0, 1, 1, 1}));
  EXPECT_EQ(batch[0].type_ids, (std::vector<int32_t>{0, 0, 1, 1, 1}));
  how.multiple_of = 4;
  how.left = true;
  pad(batch, how);
  EXPECT_EQ(batch[1].ids, (std::vector<int32_t>{7, 7, 7, 0, 1, 2, 3, 4}));
  EXPECT_EQ(batch[0].size(), 8U);
}

TEST(ParseTruncationAndPadding, SayWhatIsWrong) {
  const auto truncation =
      parse_json(R"({"max_length":8,"strategy":"OnlyFirst","stride":2,"direction":"Left"})");
  const auto parsed = parse_truncation(&*truncation);
  ASSERT_TRUE(parsed && *parsed);
  EXPECT_EQ((*parsed)->max_length, 8U);
  EXPECT_TRUE((*parsed)->left);
  EXPECT_EQ(to_json(*parsed).at("strategy"), "OnlyFirst");
  const auto truncation_of = [](const char* text) {
    const Json json = *parse_json(text);
    return parse_truncation(&json).has_value();
  };
  const auto padding_of = [](const char* text) {
    const Json json = *parse_json(text);
    return parse_padding(&json).has_value();
  };
  for (const char* bad : {R"({"max_length":-1})", R"({"strategy":"Odd"})", R"({"direction":"Up"})"})
    EXPECT_FALSE(truncation_of(bad)) << bad;
  for (const char* bad : {R"({"strategy":"Odd"})", R"({"strategy":{}})", R"({"pad_id":-3})"})
    EXPECT_FALSE(padding_of(bad)) << bad;
  EXPECT_FALSE(*parse_padding(nullptr));
}

}  // namespace
}  // namespace volant
