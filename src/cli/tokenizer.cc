// `volant tokenizer`: text to ids and back, learn a vocabulary, and see how well one fits.
#include "text/tokenizer.h"

#include <charconv>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/resolve.h"
#include "text/fertility.h"
#include "text/text_files.h"
#include "text/tokenizer_trainer.h"

namespace volant::cli {
namespace {

struct EncodeFlags {
  std::string model, workspace = default_workspace(), text, file;
  bool has_text = false, no_special = false, plain = false, tokens = false, json = false;
};

struct DecodeFlags {
  std::string model, workspace = default_workspace();
  std::vector<std::string> ids;
  bool keep_special = false, json = false;
};

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

Result<std::unique_ptr<Tokenizer>> open_model(const std::string& model, const std::string& workspace) {
  return open_tokenizer(TRY(resolve_model(workspace, model)));
}

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

Result<int> encode(const EncodeFlags& flags) {
  const auto tokenizer = TRY(open_model(flags.model, flags.workspace));
  const std::string text = flags.has_text       ? flags.text
                           : flags.file.empty() ? read_standard_input()
                                                : TRY(read_file(flags.file));
  const auto ids = tokenizer->encode(text, {.add_special = !flags.no_special, .parse_special = !flags.plain});
  if (flags.json) {
    JsonObject out{{"ids", JsonArray(ids.begin(), ids.end())}};
    if (flags.tokens) {
      JsonArray tokens;
      for (const int32_t id : ids) tokens.emplace_back(tokenizer->token_text(id));
      out["tokens"] = std::move(tokens);
    }
    print_json(out);
    return 0;
  }
  std::string line;
  for (const int32_t id : ids) {
    if (flags.tokens) {
      print_line(fmt::format("{:>7}  {}", id, tokenizer->token_text(id)));
    } else {
      line += (line.empty() ? "" : " ") + std::to_string(id);
    }
  }
  if (!flags.tokens) print_line(line);
  return 0;
}

// "1 2 3", "1,2,3", "[1, 2, 3]", over one or more arguments.
Result<std::vector<int32_t>> parse_ids(const std::vector<std::string>& arguments) {
  std::vector<int32_t> ids;
  for (const std::string& argument : arguments) {
    for (size_t pos = 0; (pos = argument.find_first_not_of(" ,[]\t\n", pos)) != std::string::npos;) {
      const size_t end = std::min(argument.find_first_of(" ,[]\t\n", pos), argument.size());
      int32_t id = 0;
      const auto [stop, bad] = std::from_chars(argument.data() + pos, argument.data() + end, id);
      if (bad != std::errc() || stop != argument.data() + end)
        return fail(ErrorCode::kInvalidArgument, "expected ids, got '{}'", argument.substr(pos, end - pos))
            .at("--ids");
      ids.push_back(id);
      pos = end;
    }
  }
  return ids;
}

Result<int> decode(const DecodeFlags& flags) {
  const auto tokenizer = TRY(open_model(flags.model, flags.workspace));
  const std::vector<int32_t> ids =
      TRY(parse_ids(flags.ids.empty() ? std::vector{read_standard_input()} : flags.ids));
  for (const int32_t id : ids)
    if (id < 0 || id >= tokenizer->n_vocab())
      return fail(ErrorCode::kInvalidArgument, "expected ids from 0 to {}, got {}", tokenizer->n_vocab() - 1,
                  id)
          .at("--ids");
  const std::string text = tokenizer->decode(ids, !flags.keep_special);
  if (flags.json)
    print_json(JsonObject{{"text", text}});
  else
    print_line(text);
  return 0;
}

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
  const auto tokenizer = TRY(open_model(flags.model, flags.workspace));
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

void add_model_options(CLI::App& command, std::string& model, std::string& workspace) {
  command
      .add_option("--model", model,
                  "Model folder, .gguf file, or a version of the workspace (v3, production)")
      ->required();
  command.add_option("--workspace", workspace, "Folder with volant.toml, for versions")
      ->capture_default_str();
}

void add_encode(CLI::App& tokenizer, Action& action) {
  const auto flags = std::make_shared<EncodeFlags>();
  CLI::App* command = tokenizer.add_subcommand("encode", "Text to token ids");
  add_model_options(*command, flags->model, flags->workspace);
  CLI::Option* text = command->add_option("--text", flags->text, "The text; default: standard input");
  command->add_option("--file", flags->file, "A file with the text, as it is")->excludes(text);
  command->add_flag("--no-special", flags->no_special, "Add no begin or end token");
  command->add_flag("--plain", flags->plain, "Read <|im_end|> and the like as plain text, as from a user");
  command->add_flag("--tokens", flags->tokens, "Show each token's text");
  command->add_flag("--json", flags->json, "Print {\"ids\": [...]}");
  command->footer(
      "Examples:\n  volant tokenizer encode --model models/stories15M --text \"Once upon a time\" --json\n"
      "  volant tokenizer encode --model model.gguf --tokens < story.txt");
  command->callback([flags, text, &action] {
    flags->has_text = text->count() > 0;
    action = [flags] { return encode(*flags); };
  });
}

void add_decode(CLI::App& tokenizer, Action& action) {
  const auto flags = std::make_shared<DecodeFlags>();
  CLI::App* command = tokenizer.add_subcommand("decode", "Token ids to text");
  add_model_options(*command, flags->model, flags->workspace);
  command->add_option("--ids", flags->ids, "The ids, with blanks or commas; default: standard input");
  command->add_flag("--keep-special", flags->keep_special, "Show special tokens too");
  command->add_flag("--json", flags->json, "Print {\"text\": ...}");
  command->footer("Examples:\n  volant tokenizer decode --model models/stories15M --ids 1,9038,2501,263,931");
  command->callback([flags, &action] { action = [flags] { return decode(*flags); }; });
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
  add_model_options(*command, flags->model, flags->workspace);
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
  add_encode(*tokenizer, action);
  add_decode(*tokenizer, action);
  add_train_command(*tokenizer, action);
  add_report(*tokenizer, action);
}

}  // namespace volant::cli
