// The data of a training job outside of a workspace: files in whatever layout, mixed, split and written as
// the rows or the token shards that the trainer reads.
#pragma once
#include <string>
#include <vector>

#include "data/row_layout.h"
#include "io/file.h"

namespace volant {

struct TrainingSource {
  Path path;  // .txt and .md are one document; other files hold rows
  RowLayout layout;
  double epochs = 1, weight = 0;  // in the mixture; see data/mixture.h
};

// What most of the rows are.
enum class RowKind { kDocument, kConversation, kPreference, kJudgement, kOther };

struct TrainingRows {
  RowKind kind = RowKind::kDocument;
  uint64_t n_train = 0, n_validation = 0, n_test = 0;
};

// Shares of the rows, by a digest of each row's prompt, and where they go.
struct HeldOut {
  double validation_share = 0, test_share = 0;
  Path validation, test;
};

// Writes `train` and what is held out (no file of a share that is 0) as JSON Lines. kInvalidArgument when the
// sources hold rows that cannot be mixed (preferences and documents). `canonical`: false writes the rows as
// they are in the file, for objectives that read their own fields.
Result<TrainingRows> write_training_rows(const std::vector<TrainingSource>& sources, uint64_t seed,
                                         bool canonical, const Path& train, const HeldOut& held_out = {});

// "sft", "dpo"...: what such rows are for.
std::string default_objective(RowKind kind);

}  // namespace volant
