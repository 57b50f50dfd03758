// For tests: curves of runs in several processes beside that of one.
#pragma once
#include <gmock/gmock.h>

#include <cmath>

#include "train/test_run.h"

namespace volant::testing {

// Losses of two curves may differ by so much (above 1: of themselves) where nothing but the order of f32 sums
// does: after 40 steps at a high rate the worst seen is a tenth of it.
constexpr double kCurveTolerance = 2e-4;

// type, step and number of every loss.
inline std::vector<std::pair<std::string, double>> losses_of(const Path& run) {
  std::vector<std::pair<std::string, double>> all;
  for (const Json& event : TrainRuns::events(run)) {
    const std::string type = json_string(event, "type").value();
    if (type != "step" && type != "eval") continue;
    all.emplace_back(type + std::to_string(json_int(event, "step").value()),
                     json_number(event, "loss").value());
  }
  return all;
}

inline void expect_same_curve(const Path& run, const Path& reference) {
  const auto got = losses_of(run), want = losses_of(reference);
  ASSERT_EQ(got.size(), want.size());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].first, want[i].first);
    worst =
        std::max(worst, std::abs(got[i].second - want[i].second) / std::max(1.0, std::abs(want[i].second)));
  }
  EXPECT_LT(worst, kCurveTolerance);
}

inline void expect_finished(const Path& run, std::vector<Process> ranks) {
  ASSERT_THAT(TrainRuns::finish(std::move(ranks)), ::testing::Each(0)) << TrainRuns::errors(run);
  EXPECT_EQ(json_string(TrainRuns::events(run).back(), "status").value(), "finished");
}

}  // namespace volant::testing
