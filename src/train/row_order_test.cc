#include "train/row_order.h"

#include <gtest/gtest.h>

#include <set>

#include "train/interval.h"

namespace volant {
namespace {

TEST(RowOrder, EachEpochTakesEachRowOnceAndGoesOnFromAnywhere) {
  RowOrder order(7, 3);
  std::vector<uint32_t> rows;
  for (int i = 0; i < 21; ++i) rows.push_back(order.next());
  for (int epoch = 0; epoch < 3; ++epoch)
    EXPECT_EQ(std::set<uint32_t>(rows.begin() + epoch * 7, rows.begin() + (epoch + 1) * 7).size(), 7U);
  EXPECT_NE(std::vector<uint32_t>(rows.begin(), rows.begin() + 7),
            std::vector<uint32_t>(rows.begin() + 7, rows.begin() + 14));
  for (uint64_t from = 0; from < 21; ++from) {
    RowOrder again(7, 3);
    again.seek(from);
    for (size_t i = from; i < 21; ++i) ASSERT_EQ(again.next(), rows[i]) << from;
  }
}

// The mean of n draws of a fair coin: its interval is about 1.96 sqrt(0.25 / n) wide to each side.
TEST(Interval, OfAMeanIsThatOfTheNormalApproximation) {
  std::vector<double> coins(400);
  for (size_t i = 0; i < coins.size(); ++i) coins[i] = static_cast<double>(i % 2);
  const Json json = mean_with_interval(coins);
  EXPECT_DOUBLE_EQ(json.at("value").as_double(), 0.5);
  EXPECT_NEAR(json.at("ci95").at(0).as_double(), 0.5 - 0.049, 0.008);
  EXPECT_NEAR(json.at("ci95").at(1).as_double(), 0.5 + 0.049, 0.008);
}

}  // namespace
}  // namespace volant
