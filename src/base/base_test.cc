#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/result.h"

namespace volant {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(ErrorCode::kInvalidArgument, "expected an even number, got {}", number);
  return number / 2;
}
Result<int> quarter(int number) { return TRY(half(TRY(half(number)))); }

TEST(Result, TryReturnsTheFirstErrorAndOtherwiseTheValue) {
  EXPECT_EQ(*quarter(12), 3);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(failed.error().message, "expected an even number, got 3");
}

TEST(Error, PlacesAccumulateOutwards) {
  const Error error = fail(ErrorCode::kParse, "bad").at("line 3").at("a.jsonl");
  EXPECT_EQ(error.to_string(), "a.jsonl: line 3: bad");
}

TEST(Json, ReportsWhereTheTextBreaksAndWhatAFieldShouldBe) {
  EXPECT_THAT(parse_json("{\"a\": }").error().message, ::testing::HasSubstr("at byte 6"));
  EXPECT_THAT(parse_json("{\"a\": 1").error().message, ::testing::HasSubstr("ends too early"));
  EXPECT_THAT(parse_json("1 2").error().message, ::testing::HasSubstr("end of the JSON text at byte 2"));
  const Json object = *parse_json(R"({"n": 512.0, "s": "x", "z": null})");
  EXPECT_EQ(*json_int(object, "n"), 512);
  EXPECT_EQ(json_int(object, "s").error().message, "expected field 's' to be an integer, got a string");
  EXPECT_EQ(*json_int_or(object, "z", 7), 7);
  EXPECT_FALSE(json_int_or(object, "s", 7));
}

TEST(Json, FindsAFieldOfAnObjectItselfAndUnsignedNumbersAreIntegers) {
  const JsonObject object{{"n", uint64_t{7}}};
  ASSERT_EQ(json_find(object, "n"), object.if_contains("n"));
  EXPECT_EQ(*json_int(object, "n"), 7);
}

TEST(Json, RefusesNestingThatWouldExhaustTheStack) { EXPECT_FALSE(parse_json(std::string(100'000, '['))); }

TEST(Json, WritesShortNumbersAndReadsThemBack) {
  EXPECT_EQ(dump_json(Json{{"a", 0.5}, {"b", 3}, {"c", "文"}}), R"({"a":0.5,"b":3,"c":"文"})");
  EXPECT_EQ(dump_json_pretty(Json{{"a", JsonArray{1, 0.1}}}), "{\n  \"a\": [\n    1,\n    0.1\n  ]\n}\n");
}

TEST(Digest, Sha256OfAbcIsTheOneInFips180) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Nearest, NamesTheKeyThatWasMeantAndNothingWhenNoneIsClose) {
  const std::vector<std::string> known{"learning_rate", "warmup_steps", "seed"};
  EXPECT_EQ(nearest_name("learnign_rate", known), "learning_rate");
  EXPECT_EQ(nearest_name("zzzzzzzz", known), "");
}

TEST(Random, TheSameSeedGivesTheSameNumbersAndBelowIsInRange) {
  Random a(7), b(7);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(a.next(), b.next());
    EXPECT_LT(a.below(10), 10U);
    b.below(10);
  }
}

TEST(Format, DurationsBytesAndCountsReadAsPeopleSayThem) {
  EXPECT_EQ(format_duration(80), "1m 20s");
  EXPECT_EQ(format_bytes(1'234'000), "1.2 MB");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
}

}  // namespace
}  // namespace volant
