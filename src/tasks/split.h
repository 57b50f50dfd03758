// Which rows are learned from, which choose the best weights, and which judge: by chance, with the same
// shares of every label, by time (the latest rows judge), or by group (no group on two sides).
#pragma once
#include <span>
#include <string>
#include <vector>

#include "tasks/task.h"

namespace volant {

enum class Part { kTrain, kValidation, kTest };

struct SplitOptions {
  std::string by =
      "";  // random | stratified | time | group; empty: stratified for labels, random for numbers
  double validation_share = 0.1, test_share = 0.1;  // each 0 to 0.5; 0: none
  uint64_t seed = 1;
  int64_t max_rows = 0;  // taken evenly, before the split, by whoever calls it; 0: all
};

// Takes its keys (split, validation_share, test_share, seed, max_rows) out of [data]. kInvalidArgument names
// the key.
Result<SplitOptions> take_split_options(JsonObject& data);

// The part of each row. What a row's own file says ("train", "test", "validation") is kept: `parts` as
// Task::read gave them, "all" where a file said nothing; where a test file exists no test share is taken,
// likewise for validation, which comes from the training rows. Rows of the same input stay on one side, rows
// of the same time as well. Depends on seed and rows alone, not on their order. kInvalidArgument when a row
// has no time or group to go by, or when a part would be empty.
Result<std::vector<Part>> split_rows(std::span<const TaskRow> rows, std::span<const std::string> parts,
                                     const SplitOptions& options);

}  // namespace volant
