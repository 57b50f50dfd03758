#include "wheel/stages.h"

#include "wheel/predict/stages.h"

namespace volant {

namespace {

const std::vector<Stage>& language_stages() {
  static const std::vector<Stage> table = {
      {"collect", "collect", 1, {}, collect_settings, run_collect},
      {"prepare", "prepare", 1, {"documents"}, prepare_settings, run_prepare},
      {"tokenizer", "prepare", 1, {"rows"}, tokenizer_settings, run_tokenizer},
      {"shards", "prepare", 1, {"rows", "tokenizer"}, shards_settings, run_shards},
      {"train", "train", 1, {"shards", "tokenizer"}, train_settings, run_train},
      {"evaluate", "evaluate", 1, {"hf", "rows"}, evaluate_settings, run_evaluate},
      {"compress", "compress", 1, {"hf", "rows"}, compress_settings, run_compress},
      {"deploy",
       "deploy",
       1,
       {"hf", "gguf", "parity", "scores", "evaluation", "rows"},
       deploy_settings,
       run_deploy},
  };
  return table;
}

const std::vector<Stage>& predict_stages() {
  static const std::vector<Stage> table = {
      {"collect", "collect", 1, {}, predict::collect_settings, predict::run_collect},
      {"prepare", "prepare", 1, {"documents"}, predict::prepare_settings, predict::run_prepare},
      {"train", "train", 1, {"rows"}, predict::train_settings, predict::run_train},
      {"evaluate", "evaluate", 2, {"hf", "rows"}, predict::evaluate_settings, predict::run_evaluate},
      {"compress", "compress", 2, {"hf", "rows"}, predict::compress_settings, predict::run_compress},
      {"deploy",
       "deploy",
       1,
       {"hf", "served", "parity", "evaluation", "rows"},
       predict::deploy_settings,
       predict::run_deploy},
  };
  return table;
}

}  // namespace

const std::vector<Stage>& stages(const WorkspaceConfig& config) {
  return config.predict ? predict_stages() : language_stages();
}

}  // namespace volant
