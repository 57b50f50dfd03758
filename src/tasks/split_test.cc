#include "tasks/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace volant {
namespace {

using ::testing::HasSubstr;

// n rows of different inputs; every tenth has the label "rare".
std::vector<TaskRow> rows_of(int n) {
  std::vector<TaskRow> rows;
  for (int i = 0; i < n; ++i)
    rows.push_back({.id = std::to_string(i),
                    .input = JsonObject{{"x", i}},
                    .label = i % 10 == 0 ? "rare" : "common",
                    .group = std::to_string(i % 37),
                    .time = fmt::format("2020-01-{:02}", 1 + i % 28)});
  return rows;
}

Result<std::vector<Part>> split(const std::vector<TaskRow>& rows, const SplitOptions& options,
                                const char* part = "all") {
  return split_rows(rows, std::vector<std::string>(rows.size(), part), options);
}

int64_t count(const std::vector<Part>& parts, Part part) {
  return std::count(parts.begin(), parts.end(), part);
}

TEST(Split, ByChanceGivesTheSharesAndDependsOnTheSeedAlone) {
  const std::vector<TaskRow> rows = rows_of(1000);
  const SplitOptions options{.by = "random", .validation_share = 0.1, .test_share = 0.2, .seed = 3};
  const std::vector<Part> parts = split(rows, options).value();
  EXPECT_EQ(count(parts, Part::kTest), 200);
  EXPECT_EQ(count(parts, Part::kValidation), 100);
  std::vector<TaskRow> backwards(rows.rbegin(), rows.rend());
  std::vector<Part> again = split(backwards, options).value();
  std::reverse(again.begin(), again.end());
  EXPECT_EQ(again, parts);
  SplitOptions other = options;
  other.seed = 4;
  EXPECT_NE(split(rows, other).value(), parts);
}

TEST(Split, StratifiedKeepsTheShareOfEveryLabel) {
  const std::vector<TaskRow> rows = rows_of(1000);
  const std::vector<Part> parts = split(rows, {.by = "", .validation_share = 0.1, .test_share = 0.2}).value();
  std::map<std::pair<std::string, Part>, int> counts;
  for (size_t i = 0; i < rows.size(); ++i) ++counts[{rows[i].label, parts[i]}];
  EXPECT_EQ((counts[{"rare", Part::kTest}]), 20);
  EXPECT_EQ((counts[{"rare", Part::kValidation}]), 10);
  EXPECT_EQ((counts[{"common", Part::kTest}]), 180);
  EXPECT_EQ((counts[{"common", Part::kTrain}]), 630);
}

TEST(Split, ManySmallLabelsStillGiveTheWholeShare) {
  std::vector<TaskRow> rows = rows_of(90);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].label = std::to_string(i / 3);
  const std::vector<Part> parts = split(rows, {.by = "stratified"}).value();
  EXPECT_EQ(count(parts, Part::kTest), 9);
  EXPECT_EQ(count(parts, Part::kValidation), 9);
}

TEST(Split, RowsOfTheSameInputStayTogether) {
  std::vector<TaskRow> rows = rows_of(400);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].input = JsonObject{{"x", static_cast<int64_t>(i % 100)}};
  for (const char* by : {"random", "stratified"}) {
    const std::vector<Part> parts = split(rows, {.by = by}).value();
    for (size_t i = 100; i < rows.size(); ++i) EXPECT_EQ(parts[i], parts[i % 100]) << by;
    EXPECT_EQ(count(parts, Part::kTest), 40);
  }
}

TEST(Split, ByGroupNoGroupStandsOnTwoSides) {
  const std::vector<TaskRow> rows = rows_of(1000);
  const std::vector<Part> parts =
      split(rows, {.by = "group", .validation_share = 0.1, .test_share = 0.2}).value();
  for (size_t i = 37; i < rows.size(); ++i) EXPECT_EQ(parts[i], parts[i % 37]);
  EXPECT_NEAR(static_cast<double>(count(parts, Part::kTest)), 200, 30);
  EXPECT_NEAR(static_cast<double>(count(parts, Part::kValidation)), 100, 30);
}

TEST(Split, ByTimeTheLatestRowsJudge) {
  std::vector<TaskRow> rows = rows_of(280);
  const auto check = [&](auto less) {
    const std::vector<Part> parts =
        split(rows, {.by = "time", .validation_share = 0.25, .test_share = 0.25}).value();
    EXPECT_EQ(count(parts, Part::kTest), 70);
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t k = 0; k < rows.size(); ++k)
        EXPECT_TRUE(!less(rows[i].time, rows[k].time) || parts[i] <= parts[k]);
  };
  check([](const std::string& a, const std::string& b) { return a < b; });
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i].time = std::to_string(i % 28 * 7);  // numbers, of 1 to 3 digits
  check([](const std::string& a, const std::string& b) { return std::stoi(a) < std::stoi(b); });
}

TEST(Split, WhatAFileSaysIsKept) {
  const std::vector<TaskRow> rows = rows_of(300);
  std::vector<std::string> parts(300, "train");
  std::fill(parts.begin() + 200, parts.end(), "test");
  std::vector<Part> got = split_rows(rows, parts, {.validation_share = 0.1, .test_share = 0.3}).value();
  EXPECT_EQ(count(got, Part::kTest), 100);
  EXPECT_EQ(count(got, Part::kValidation), 20);  // of the 200 to train on
  for (size_t i = 200; i < 300; ++i) EXPECT_EQ(got[i], Part::kTest);
  std::fill(parts.begin() + 100, parts.begin() + 200, "validation");
  got = split_rows(rows, parts, {.validation_share = 0.1, .test_share = 0.3}).value();
  EXPECT_EQ(count(got, Part::kValidation), 100);
  EXPECT_EQ(count(got, Part::kTrain), 100);
  EXPECT_THAT(split_rows(rows, parts, {.by = "group"}).error().to_string(),
              HasSubstr("in the files of two parts"));
}

TEST(Split, WhatCannotBeDoneIsSaid) {
  std::vector<TaskRow> rows = rows_of(100);
  EXPECT_THAT(split(rows_of(3), {.by = "random"}).error().message, HasSubstr("too few"));
  EXPECT_THAT(split({}, {}).error().message, HasSubstr("too few"));
  rows[7].time.clear();
  EXPECT_THAT(split(rows, {.by = "time"}).error().to_string(), HasSubstr("row '7'"));
  rows[8].group.clear();
  EXPECT_THAT(split(rows, {.by = "group"}).error().to_string(), HasSubstr("row '8'"));
}

TEST(Split, TakesItsKeysOutOfData) {
  JsonObject data{
      {"split", "group"}, {"seed", 9}, {"train", "a.csv"}, {"test_share", 0.25}, {"max_rows", 10}};
  const SplitOptions options = take_split_options(data).value();
  EXPECT_EQ(options.by, "group");
  EXPECT_EQ(options.seed, 9U);
  EXPECT_EQ(options.test_share, 0.25);
  EXPECT_EQ(options.max_rows, 10);
  EXPECT_EQ(Json(data), Json(JsonObject{{"train", "a.csv"}}));
  JsonObject wrong{{"test_share", 2}};
  EXPECT_THAT(take_split_options(wrong).error().message, HasSubstr("'test_share'"));
  wrong = {{"split", "k-fold"}};
  EXPECT_THAT(take_split_options(wrong).error().message, HasSubstr("'split'"));
}

}  // namespace
}  // namespace volant
