#include "wheel/stages.h"

namespace volant {

const std::vector<Stage>& stages() {
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

}  // namespace volant
