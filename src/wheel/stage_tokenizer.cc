// Tokenizer: a vocabulary learned from the training split, and what it needs for each language.
#include "io/jsonl.h"
#include "text/fertility.h"
#include "text/tokenizer_config.h"
#include "text/tokenizer_trainer.h"
#include "wheel/held_out.h"
#include "wheel/pretrained.h"
#include "wheel/stages.h"

namespace volant {
namespace {

// Measured on text it was not learned from, when there is any.
Result<Json> measure(const Path& rows, const std::string& algorithm, const Tokenizer& tokenizer) {
  constexpr uint64_t kMaxBytes = 4ULL << 20;
  Fertility fertility(tokenizer);
  bool any = false;
  for (const char* split : {kValidationRows, kTrainRows}) {
    if (any) break;
    uint64_t bytes = 0;
    JsonlReader reader = TRY(JsonlReader::open(rows / split));
    while (auto row = TRY(reader.next())) {
      const std::string text = row_text(*row);
      fertility.add(text, json_string_or(*row, "lang", "").value_or(""));
      any = true;
      if ((bytes += text.size()) >= kMaxBytes) break;
    }
  }
  return tokenizer_report(algorithm, fertility, tokenizer.n_vocab());
}

// Into `folder`; gives what it is, for people.
Result<std::string> learn_tokenizer(const TokenizerSection& config, const Path& rows, const Path& folder) {
  JsonlReader reader = TRY(JsonlReader::open(rows / kTrainRows));
  const NextText next = [&reader]() -> Result<std::optional<std::string>> {
    const auto row = TRY(reader.next());
    if (!row) return std::optional<std::string>();
    return std::optional<std::string>(row_text(*row));
  };
  TokenizerTrainOptions options;
  options.algorithm = config.algorithm;
  options.vocab_size = static_cast<int>(config.vocab_size);
  const TokenizerTrainResult trained = TRY(train_tokenizer(next, options, folder));
  return fmt::format("{} of {}", config.algorithm,
                     count_of(static_cast<uint64_t>(trained.n_vocab), "tokens"));
}

}  // namespace

Result<Json> tokenizer_settings(Workspace& workspace, bool cheap) {
  const std::string& init_from = workspace.config().model.init_from;
  if (init_from.empty()) return to_json(workspace.config().tokenizer);
  return pretrained_settings(workspace, init_from, cheap);
}

Result<StageResult> run_tokenizer(StageContext& context) {
  const WorkspaceConfig& config = context.workspace.config();
  const Path rows = TRY(context.input("rows")), folder = context.scratch / "tokenizer";
  TRY(make_dirs(folder));
  StageResult result;
  std::string algorithm = config.tokenizer.algorithm;
  if (config.model.init_from.empty()) {
    result.detail = TRY(learn_tokenizer(config.tokenizer, rows, folder));
  } else {
    TRY(copy_tokenizer_files(TRY(pretrained_folder(context.workspace.path(), config.model.init_from)),
                             folder));
    result.detail = "the tokenizer of " + config.model.init_from;
    algorithm = "of " + config.model.init_from;
  }
  const auto tokenizer = TRY(load_tokenizer(folder));
  const Path report = context.scratch / "tokenizer.json";
  TRY(write_file_atomic(report, dump_json_pretty(TRY(measure(rows, algorithm, *tokenizer)))));
  result.products = {{"tokenizer", "tokenizer", folder}, {"tokenizer_report", "report", report}};
  result.summary = JsonObject{{"n_vocab", tokenizer->n_vocab()}};
  return result;
}

}  // namespace volant
