// Who is served worse: scores and decisions by group, with gaps and their intervals. Demographic parity
// (equal shares of positive decisions), equalised odds (equal true and false positive rates; Hardt et al.
// 2016), any score by slice, and the search for the worst slice of all columns. Says what differs, not why,
// nor what is just.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "eval/statistics.h"

namespace volant {

struct FairnessOptions {
  int64_t min_rows = 30;  // smaller groups are listed but not compared
  int bootstrap_samples = 1000;
  uint64_t seed = 1;
};

struct GroupFigure {
  std::string group;
  int64_t rows = 0;        // that the figure is of: for a true positive rate, the positive rows
  Estimate estimate = {};  // of fewer than min_rows rows: a hint at best
};

struct Gap {
  std::vector<GroupFigure> groups;
  std::string highest, lowest;  // of the groups that are large enough; empty when fewer than two are
  Estimate difference;          // highest minus lowest; the choice of these two makes it a little too large
  bool compared = false;        // two groups were large enough
};

// Mean of `scores` by group. Errors of all: kInvalidArgument for no rows, other numbers of rows, labels but 0
// and 1, scores that are not finite, options out of range.
Result<Gap> score_by_group(std::span<const double> scores, std::span<const std::string> groups,
                           const FairnessOptions& options = {});
// Share of rows decided 1, by group: demographic parity holds where the gap is 0.
Result<Gap> demographic_parity(std::span<const int32_t> predicted, std::span<const std::string> groups,
                               const FairnessOptions& options = {});
struct EqualisedOdds {
  Gap true_positive_rate, false_positive_rate;  // equalised odds hold where both gaps are 0
};
Result<EqualisedOdds> equalised_odds(std::span<const int32_t> truth, std::span<const int32_t> predicted,
                                     std::span<const std::string> groups,
                                     const FairnessOptions& options = {});

struct Slice {
  std::string name;  // "sex = Female, race = Other"
  int64_t rows = 0;
  Estimate score = {};    // mean in the slice
  double rest = 0;        // mean of all other rows
  double p_value = 1;     // Welch's test of slice against rest, two-sided
  double adjusted_p = 1;  // Holm's correction over all slices looked at
};
// Slices by one column and by pairs of columns, of at least min_rows rows (and as many others), lowest score
// first; those that are lower than the rest with adjusted_p at most 0.05 are shown to be worse, others may be
// chance. At most 100,000 slices (kLimit): give fewer columns, or bin numbers.
Result<std::vector<Slice>> worst_slices(std::span<const double> scores,
                                        const std::map<std::string, std::vector<std::string>>& columns,
                                        const FairnessOptions& options = {});

// {"groups": {name: {"rows", "value", "ci95"}}, "highest", "lowest", "difference": {..}}
Json to_json(const Gap& gap);
Json to_json(const Slice& slice);

}  // namespace volant
