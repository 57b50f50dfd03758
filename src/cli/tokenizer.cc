// `volant tokenizer`: learn a vocabulary, see how well one fits; text to ids and back is tokenizer_encode.cc.
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "cli/tokenizer_encode.h"
#include "text/fertility.h"
#include "text/text_files.h"
#include "text/tokenizer_trainer.h"

namespace volant::cli {
namespace {

struct TrainFlags {
  std::vector<std::string> data;
  std::string out;
  TokenizerTrainOptions options;
  bool json = false;
};

struct ReportFlags {
  std::string model, workspace = default_workspace();
  std::vector<std::string> data;
  bool json = false;
};

Result<int> train(const TrainFlags& flags) {
  TextFiles files = TRY(TextFiles::open(flags.data));
  Progress progress("Reading texts", 0, "texts");
  uint64_t n = 0;
  const auto next = [&]() -> Result<std::optional<std::string>> {
    progress.update(n++);
    return files.next();
  };
  const TokenizerTrainResult made = TRY(train_tokenizer(next, flags.options, flags.out));
  progress.finish();
  if (flags.json) {
    print_json(JsonObject{{"out", flags.out},
                          {"algorithm", flags.options.algorithm},
                          {"vocab_size", made.n_vocab},
                          {"texts", made.n_texts},
                          {"bytes", made.n_bytes}});
  } else {
    print_line(fmt::format("{}: {} tokens, learned from {} texts ({})", flags.out,
                           format_count(static_cast<uint64_t>(made.n_vocab)), format_count(made.n_texts),
                           format_bytes(static_cast<double>(made.n_bytes))));
  }
  return 0;
}

void print_figures(Table& table, const std::string& name, const Json& figures) {
  const auto number = [&](const char* key) {
    return fmt::format("{:.3f}", figures.at(key).to_number<double>());
  };
  table.add({name, format_count(figures.at("chars").to_number<uint64_t>()), number("tokens_per_char"),
             number("byte_level_tokens_per_char"), number("tokens_per_word"),
             number("byte_level_tokens_per_word"), number("bytes_per_token")});
}

Result<int> report(const ReportFlags& flags) {
  const auto tokenizer = TRY(open_model_tokenizer(flags.model, flags.workspace));
  TextFiles files = TRY(TextFiles::open(flags.data));
  Fertility fertility(*tokenizer);
  Progress progress("Counting tokens", 0, "texts");
  uint64_t n = 0;
  for (std::string language; const std::optional<std::string> text = TRY(files.next(&language));) {
    fertility.add(*text, language);
    progress.update(++n);
  }
  progress.finish();
  if (fertility.by_language().empty())
    return fail(ErrorCode::kInvalidArgument, "expected text, the files hold none").at("--data");
  const Json result = tokenizer_report(tokenizer->algorithm(), fertility, tokenizer->n_vocab());
  if (flags.json) {
    print_json(result);
    return 0;
  }
  print_line(fmt::format("{}, {} tokens in the vocabulary", tokenizer->algorithm(),
                         format_count(static_cast<uint64_t>(tokenizer->n_vocab()))));
  Table table({"language", "chars", "tokens/char", "(bytes)", "tokens/word", "(bytes)", "bytes/token"});
  for (const auto& [name, figures] : result.at("languages").as_object()) print_figures(table, name, figures);
  print_figures(table, "all", result.at("all"));
  table.print();
  return 0;
}

void add_train_command(CLI::App& tokenizer, Action& action) {
  const auto flags = std::make_shared<TrainFlags>();
  TokenizerTrainOptions& options = flags->options;
  CLI::App* command = tokenizer.add_subcommand("train", "Learn a vocabulary from texts");
  command->add_option("--data", flags->data, "Text files, .jsonl, .jsonl.zst; shell patterns in quotes")
      ->required();
  command->add_option("--out", flags->out, "Folder for tokenizer.model and tokenizer_config.json")
      ->required();
  command->add_option("--vocab-size", options.vocab_size, "Tokens in the vocabulary")->capture_default_str();
  command->add_option("--algorithm", options.algorithm, "How it is learned")
      ->check(CLI::IsMember({"bpe", "unigram"}))
      ->capture_default_str();
  command
      ->add_option("--character-coverage", options.character_coverage, "Share of characters with own tokens")
      ->capture_default_str();
  command->add_option("--max-bytes", options.max_bytes, "Text that is read, at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--seed", options.seed, "Which texts are read when there are more")
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->footer(
      "Examples:\n  volant tokenizer train --data 'texts/*.txt' --vocab-size 8192 --out my-tokenizer\n"
      "  volant tokenizer train --data rows.jsonl.zst --algorithm unigram --out my-tokenizer");
  command->callback([flags, &action] { action = [flags] { return train(*flags); }; });
}

void add_report(CLI::App& tokenizer, Action& action) {
  const auto flags = std::make_shared<ReportFlags>();
  CLI::App* command =
      tokenizer.add_subcommand("report", "Tokens for a character and a word of each language, beside bytes");
  add_tokenizer_options(*command, flags->model, flags->workspace);
  command->add_option("--data", flags->data, "Text files, .jsonl, .jsonl.zst; shell patterns in quotes")
      ->required();
  command->add_flag("--json", flags->json, "Print JSON");
  command->footer("Examples:\n  volant tokenizer report --model my-tokenizer --data rows.jsonl.zst");
  command->callback([flags, &action] { action = [flags] { return report(*flags); }; });
}

}  // namespace

void add_tokenizer(CLI::App& root, Action& action) {
  CLI::App* tokenizer = root.add_subcommand("tokenizer", "Vocabularies: encode, decode, train, report");
  tokenizer->require_subcommand(1);
  tokenizer->footer(
      "Examples:\n"
      "  volant tokenizer encode --model models/stories15M --text \"Once upon a time\"\n"
      "  volant tokenizer train --data 'texts/*.txt' --vocab-size 8192 --out my-tokenizer\n"
      "  volant tokenizer report --model my-tokenizer --data rows.jsonl.zst");
  add_tokenizer_encode(*tokenizer, action);
  add_tokenizer_decode(*tokenizer, action);
  add_train_command(*tokenizer, action);
  add_report(*tokenizer, action);
}

}  // namespace volant::cli
