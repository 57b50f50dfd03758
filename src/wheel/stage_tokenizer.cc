// Tokenizer: a vocabulary learned from the training split, and what it needs for each language.
#include "io/jsonl.h"
#include "text/fertility.h"
#include "text/tokenizer_trainer.h"
#include "wheel/held_out.h"
#include "wheel/stages.h"

namespace volant {
namespace {

// Measured on text it was not learned from, when there is any.
Result<Json> measure(const Path& rows, const TokenizerSection& config, const Tokenizer& tokenizer) {
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
  return tokenizer_report(config.algorithm, fertility, tokenizer.n_vocab());
}

}  // namespace

Result<Json> tokenizer_settings(Workspace& workspace, bool) { return to_json(workspace.config().tokenizer); }

Result<StageResult> run_tokenizer(StageContext& context) {
  const TokenizerSection& config = context.workspace.config().tokenizer;
  const Path rows = TRY(context.input("rows"));
  const Path folder = context.scratch / "tokenizer";
  TRY(make_dirs(folder));
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
  const auto tokenizer = TRY(load_tokenizer(folder));
  const Path report = context.scratch / "tokenizer.json";
  TRY(write_file_atomic(report, dump_json_pretty(TRY(measure(rows, config, *tokenizer)))));
  StageResult result;
  result.products = {{"tokenizer", "tokenizer", folder}, {"tokenizer_report", "report", report}};
  result.detail =
      fmt::format("{} of {}", config.algorithm, count_of(static_cast<uint64_t>(trained.n_vocab), "tokens"));
  result.summary = JsonObject{{"n_vocab", trained.n_vocab}, {"bytes", trained.n_bytes}};
  return result;
}

}  // namespace volant
