// Figures of predictions, by hand and against plain loops over pairs.
#include "train/figures.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/random.h"
#include "train/class_weights.h"

namespace volant {
namespace {

std::vector<uint32_t> all_of(size_t n) {
  std::vector<uint32_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

TEST(Figures, MacroF1OfThreeClassesByHand) {
  const std::vector<int32_t> labels{0, 0, 0, 1, 1, 2}, guesses{0, 0, 1, 1, 0, 2};
  EXPECT_NEAR(macro_f1(labels, guesses, 4, all_of(6)), (4.0 / 6 + 2.0 / 4 + 1) / 3, 1e-12);
  EXPECT_EQ(best_labels(std::vector<float>{1, 3, 2, 5, 4, 3}, 3), (std::vector<int32_t>{1, 0}));
}

TEST(Figures, RocAucIsTheShareOfPairsInOrderAlsoWithTiesAndRowsDrawnTwice) {
  Random random(3);
  std::vector<int32_t> labels;
  std::vector<double> scores;
  std::vector<uint32_t> rows;
  for (int i = 0; i < 60; ++i) {
    labels.push_back(static_cast<int32_t>(random.below(2)));
    scores.push_back(static_cast<double>(random.below(12)) + labels.back());
    rows.push_back(static_cast<uint32_t>(random.below(60)));
  }
  double above = 0, pairs = 0;
  for (const uint32_t a : rows)
    for (const uint32_t b : rows)
      if (labels[a] == 1 && labels[b] == 0) {
        pairs += 1;
        above += scores[a] > scores[b] ? 1 : scores[a] == scores[b] ? 0.5 : 0;
      }
  EXPECT_NEAR(RocAuc(labels, scores)(rows), above / pairs, 1e-12);
  EXPECT_EQ(RocAuc(labels, scores)(std::vector<uint32_t>{}), 0.5);
}

TEST(Figures, RSquaredIsOneOfTheTruthAndNothingOfTheMean) {
  const std::vector<double> targets{1, 2, 6}, mean{3, 3, 3}, near{1, 3, 6};
  EXPECT_EQ(r_squared(targets, targets, all_of(3)), 1);
  EXPECT_EQ(r_squared(targets, mean, all_of(3)), 0);
  EXPECT_NEAR(r_squared(targets, near, all_of(3)), 1 - 1.0 / 14, 1e-12);
}

TEST(ClassWeights, BalancedMakesTheSumsEqualAndNamedOnesAreTaken) {
  const std::vector<std::string> labels{"cat", "dog"};
  const std::vector<double> counts{30, 10};
  const auto weights = [&](const char* json) {
    return weights_of_classes(parse_class_weights(parse_json(json).value()).value(), labels, counts);
  };
  EXPECT_EQ(weights("{}").value(), std::vector<double>{});
  EXPECT_EQ(weights(R"({"class_weights": "balanced"})").value(), (std::vector<double>{40.0 / 60, 2}));
  EXPECT_EQ(weights(R"({"class_weights": {"dog": 3}})").value(), (std::vector<double>{1, 3}));
  EXPECT_NE(weights(R"({"class_weights": {"dgo": 3}})").error().to_string().find("did you mean 'dog'"),
            std::string::npos);
  EXPECT_FALSE(parse_class_weights(parse_json(R"({"class_weights": "even"})").value()));
  EXPECT_FALSE(parse_class_weights(parse_json(R"({"class_weights": {"dog": -1}})").value()));
}

}  // namespace
}  // namespace volant
