#include "eval/folds.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

namespace volant {
namespace {

using ::testing::HasSubstr;

// Each fold's parts are disjoint and cover the rows; each row is tested once a repeat.
void expect_partition(const std::vector<Fold>& folds, size_t n_rows, size_t k) {
  ASSERT_EQ(folds.size() % k, 0);
  for (size_t r = 0; r < folds.size(); r += k) {
    std::vector<int> tested(n_rows);
    for (size_t f = r; f < r + k; ++f) {
      std::vector<int> seen(n_rows);
      for (const size_t row : folds[f].train) ++seen.at(row);
      for (const size_t row : folds[f].test) {
        ++seen.at(row);
        ++tested.at(row);
      }
      EXPECT_EQ(seen, std::vector<int>(n_rows, 1));
      EXPECT_TRUE(std::is_sorted(folds[f].train.begin(), folds[f].train.end()));
      EXPECT_TRUE(std::is_sorted(folds[f].test.begin(), folds[f].test.end()));
    }
    EXPECT_EQ(tested, std::vector<int>(n_rows, 1));
  }
}

TEST(Folds, PlainFoldsPartTheRowsEvenly) {
  const auto folds = k_fold(23, {.k = 5}).value();
  expect_partition(folds, 23, 5);
  for (const Fold& fold : folds) EXPECT_TRUE(fold.test.size() == 4 || fold.test.size() == 5);
}

TEST(Folds, TheSeedDecides) {
  const auto a = k_fold(30, {.k = 3, .seed = 1}).value(), b = k_fold(30, {.k = 3, .seed = 1}).value();
  EXPECT_EQ(a[0].test, b[0].test);
  EXPECT_NE(a[0].test, k_fold(30, {.k = 3, .seed = 2}).value()[0].test);
}

TEST(Folds, RepeatsShuffleAnew) {
  const auto folds = k_fold(20, {.k = 4, .repeats = 3}).value();
  ASSERT_EQ(folds.size(), 12);
  expect_partition(folds, 20, 4);
  EXPECT_NE(folds[0].test, folds[4].test);
}

TEST(Folds, StratifiedFoldsKeepEveryClassEven) {
  std::vector<int32_t> labels;
  labels.reserve(107);
  for (int i = 0; i < 107; ++i) labels.push_back(i % 10 == 0 ? 2 : i % 3 == 0 ? 1 : 0);
  const auto folds = stratified_k_fold(labels, {.k = 5, .repeats = 2}).value();
  expect_partition(folds, labels.size(), 5);
  size_t smallest = labels.size(), largest = 0;
  for (int32_t c = 0; c < 3; ++c) {
    int64_t least = 1000, most = 0;
    for (const Fold& fold : folds) {
      const int64_t n =
          std::count_if(fold.test.begin(), fold.test.end(), [&](size_t r) { return labels[r] == c; });
      least = std::min(least, n);
      most = std::max(most, n);
    }
    EXPECT_LE(most - least, 1);
  }
  for (const Fold& fold : folds) {
    smallest = std::min(smallest, fold.test.size());
    largest = std::max(largest, fold.test.size());
  }
  EXPECT_LE(largest - smallest, 1);
}

TEST(Folds, GroupsStayWhole) {
  std::vector<int64_t> groups;
  for (int64_t g = 0; g < 17; ++g)
    for (int64_t i = 0; i <= g % 5; ++i) groups.push_back(g * 1000);
  const auto folds = grouped_k_fold(groups, {.k = 4, .repeats = 2}).value();
  expect_partition(folds, groups.size(), 4);
  for (const Fold& fold : folds) {
    std::set<int64_t> train, test;
    for (const size_t row : fold.train) train.insert(groups[row]);
    for (const size_t row : fold.test) test.insert(groups[row]);
    for (const int64_t group : test) EXPECT_FALSE(train.contains(group));
    EXPECT_NEAR(static_cast<double>(fold.test.size()), static_cast<double>(groups.size()) / 4, 3);
  }
}

TEST(Folds, ThePastTrainsTheFutureTests) {
  const std::vector<double> times{5, 1, 3, 3, 2, 9, 7, 7, 7, 8, 4, 6};
  const auto folds = time_ordered_folds(times, 3).value();
  ASSERT_EQ(folds.size(), 3);
  std::set<size_t> tested;
  for (const Fold& fold : folds) {
    ASSERT_FALSE(fold.train.empty());
    ASSERT_FALSE(fold.test.empty());
    double latest = 0;
    for (const size_t row : fold.train) latest = std::max(latest, times[row]);
    for (const size_t row : fold.test) {
      EXPECT_GT(times[row], latest);
      EXPECT_TRUE(tested.insert(row).second);
    }
  }
  EXPECT_LT(folds[0].train.size(), folds[2].train.size());
}

TEST(Folds, ImpossibleRequestsAreNamed) {
  EXPECT_THAT(k_fold(3, {.k = 5}).error().message, HasSubstr("got 3 for 5 folds"));
  EXPECT_THAT(k_fold(30, {.k = 1}).error().message, HasSubstr("got 1"));
  EXPECT_THAT(k_fold(30, {.k = 2, .repeats = 0}).error().message, HasSubstr("repeats, got 0"));
  EXPECT_THAT(grouped_k_fold(std::vector<int64_t>{1, 1, 1, 2}, {.k = 3}).error().message,
              HasSubstr("groups"));
  EXPECT_THAT(stratified_k_fold(std::vector<int32_t>{0, 1, 2, 3}, {.k = 3}).error().message,
              HasSubstr("the largest has 1"));
  EXPECT_THAT(time_ordered_folds(std::vector<double>(20, 4.0), 3).error().message,
              HasSubstr("different times"));
  EXPECT_FALSE(time_ordered_folds({}, 2));
}

}  // namespace
}  // namespace volant
