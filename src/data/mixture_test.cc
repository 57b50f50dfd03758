#include "data/mixture.h"

#include <gtest/gtest.h>

#include <map>

namespace volant {
namespace {

std::vector<uint64_t> counts(const std::vector<MixtureRow>& rows, size_t n) {
  std::vector<uint64_t> out(n);
  for (const MixtureRow& row : rows) ++out[row.source];
  return out;
}

TEST(Mixture, OneSourceKeepsItsOrder) {
  const auto rows = mixture_rows({{.n_rows = 50}}, 3).value();
  ASSERT_EQ(rows.size(), 50U);
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(rows[i], (MixtureRow{0, i}));
}

TEST(Mixture, EpochsSayHowOftenEachRowComes) {
  const auto rows = mixture_rows({{.n_rows = 10, .epochs = 2.5}, {.n_rows = 40, .epochs = 0.5}}, 7).value();
  EXPECT_EQ(counts(rows, 2), (std::vector<uint64_t>{25, 20}));
  std::map<uint32_t, int> seen[2];
  for (const MixtureRow& row : rows) ++seen[row.source][row.row];
  int thrice = 0;
  for (const auto& [row, n] : seen[0]) {
    EXPECT_TRUE(n == 2 || n == 3);
    thrice += n == 3;
  }
  EXPECT_EQ(thrice, 5);
  EXPECT_EQ(seen[1].size(), 20U) << "half an epoch takes no row twice";
  EXPECT_NE(seen[1].rbegin()->first, 19U) << "half an epoch is not the first half of the file";
}

TEST(Mixture, WeightsAreShares) {
  // The second source's rows last for 30 rows of 1 to 2, not more.
  const auto rows = mixture_rows({{.n_rows = 100, .weight = 1}, {.n_rows = 20, .weight = 2}}, 1).value();
  EXPECT_EQ(counts(rows, 2), (std::vector<uint64_t>{10, 20}));
  const auto twice =
      mixture_rows({{.n_rows = 100, .weight = 1}, {.n_rows = 20, .epochs = 4, .weight = 2}}, 1).value();
  EXPECT_EQ(counts(twice, 2), (std::vector<uint64_t>{40, 80}));
}

TEST(Mixture, SourcesAreInterleavedAndTheSeedFixesHow) {
  const std::vector<MixtureSource> sources = {{.n_rows = 300}, {.n_rows = 100}};
  const auto rows = mixture_rows(sources, 5).value();
  for (size_t begin = 0; begin < rows.size(); begin += 100) {
    const auto part =
        counts({rows.begin() + static_cast<long>(begin), rows.begin() + static_cast<long>(begin) + 100}, 2);
    EXPECT_NEAR(static_cast<double>(part[1]), 25, 2) << "rows from " << begin;
  }
  EXPECT_EQ(mixture_rows(sources, 5).value(), rows);
  EXPECT_NE(mixture_rows(sources, 6).value(), rows);
}

TEST(Mixture, WrongNumbersAreRefused) {
  EXPECT_FALSE(mixture_rows({{.n_rows = 1, .weight = 1}, {.n_rows = 1}}, 1));
  EXPECT_FALSE(mixture_rows({{.n_rows = 1, .epochs = 0}}, 1));
  EXPECT_FALSE(mixture_rows({{.n_rows = 1, .epochs = -1}}, 1));
  EXPECT_FALSE(mixture_rows({{.n_rows = 1, .weight = -1}}, 1));
  EXPECT_EQ(mixture_rows({{.n_rows = 1ULL << 40}}, 1).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(mixture_rows({{.n_rows = 0}}, 1).value().empty());
}

}  // namespace
}  // namespace volant
