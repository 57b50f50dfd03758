// What a fine-tuning from corrections reads: each correction many times over, mixed with text that the model
// was trained on, so that it learns the one without forgetting the other.
#pragma once
#include <string>

#include "feedback/curation.h"
#include "text/tokenizer.h"
#include "wheel/config.h"

namespace volant {

struct ImproveRows {
  int64_t correction_rows = 0;  // copies counted
  int64_t replay_rows = 0;
  int64_t steps = 0;  // that go once through all of it
};

inline constexpr int64_t kImproveTokensPerStep = 2048;

// Writes `out` (JSON Lines). `train_rows`:
// the split that replay is taken from. The same input gives the same bytes.
Result<ImproveRows> write_improve_rows(const CuratedSet& set, const Path& train_rows,
                                       const Tokenizer& tokenizer, const ImproveSection& config,
                                       int64_t max_seq_len, const Path& out);

}  // namespace volant
