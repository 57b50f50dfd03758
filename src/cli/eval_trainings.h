// `volant eval --cv`, `--learning-curve` and `--seeds`: a workspace's model trained several times over.
#pragma once
#include "cli/commands.h"

namespace volant::cli {

struct TrainingFlags {
  int folds = 0, repeats = 1, seeds = 0, parallel = 1;
  std::string kind;
  bool separate_inputs = false;
  std::vector<double> shares;
  bool asked() const { return folds > 0 || seeds > 0 || !shares.empty(); }
};
void add_training_options(CLI::App& command, TrainingFlags& flags);
// Those that mean nothing where nothing is trained.
Status refuse_training_options(const CLI::App& command);
Result<int> eval_trainings(const CLI::App& command, const TrainingFlags& flags, const std::string& workspace,
                           uint64_t seed, int n_threads, const std::string& html, bool json);

}  // namespace volant::cli
