#include "cli/tokenizer_encode.h"

#include <charconv>
#include <iostream>
#include <iterator>
#include <optional>

#include "cli/default_workspace.h"
#include "cli/print.h"
#include "registry/resolve.h"
#include "text/unicode.h"

namespace volant::cli {
namespace {

constexpr uint32_t kMaxLength = 1 << 24;

struct EncodeFlags {
  std::string model, workspace = default_workspace(), file;
  std::optional<std::string> text, pair;
  std::optional<uint32_t> truncate, pad;
  uint32_t stride = 0;
  bool no_special = false, plain = false, tokens = false, offsets = false, as_filed = false, json = false;
  // More than the ids of one text is asked for.
  bool is_rich() const { return offsets || pair || truncate || pad || as_filed; }
};

struct DecodeFlags {
  std::string model, workspace = default_workspace();
  std::vector<std::string> ids;
  bool keep_special = false, json = false;
};

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

// Lengths that are asked for; the other rules, and all of them with --as-filed, are those of the file.
Result<EncodingOptions> encoding_options(const EncodeFlags& flags, const Tokenizer& tokenizer) {
  EncodingOptions options{
      .add_special = !flags.no_special, .parse_special = !flags.plain, .truncation = {}, .padding = {}};
  if (flags.as_filed || flags.truncate) options.truncation = tokenizer.truncation();
  if (flags.truncate) {
    if (!options.truncation) options.truncation.emplace();
    options.truncation->max_length = *flags.truncate;
    options.truncation->stride = flags.stride;
  }
  if (flags.as_filed || flags.pad) options.padding = tokenizer.padding();
  if (flags.pad) {
    if (!options.padding) {
      const auto id = tokenizer.token_id("[PAD]");
      if (!id)
        return fail(ErrorCode::kInvalidArgument,
                    "expected a tokenizer whose file has 'padding' or a token [PAD]")
            .at("--pad");
      options.padding.emplace();
      options.padding->id = *id;
    }
    options.padding->length = *flags.pad;
    options.padding->multiple_of = 0;
  }
  return options;
}

// The part of its text that each token stands for; "" for those that were put around.
std::vector<std::string> texts_of(const Encoding& encoding, const std::u32string (&texts)[2]) {
  std::vector<std::string> out;
  for (size_t i = 0; i < encoding.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    const uint8_t which = encoding.text_of[i];
    out.push_back(which == kOfNoText
                      ? ""
                      : from_code_points(std::u32string_view(texts[which]).substr(begin, end - begin)));
  }
  return out;
}

JsonObject encoding_json(const Encoding& encoding, const Tokenizer& tokenizer,
                         const std::u32string (&texts)[2]) {
  JsonArray tokens, offsets, parts, overflow;
  for (const int32_t id : encoding.ids) tokens.emplace_back(tokenizer.token_text(id));
  for (const auto [begin, end] : encoding.offsets) offsets.push_back(JsonArray{begin, end});
  for (std::string& part : texts_of(encoding, texts)) parts.emplace_back(std::move(part));
  for (const Encoding& window : encoding.overflow)
    overflow.push_back(encoding_json(window, tokenizer, texts));
  const auto numbers = [](const auto& list) { return JsonArray(list.begin(), list.end()); };
  return {{"ids", numbers(encoding.ids)},
          {"tokens", std::move(tokens)},
          {"offsets", std::move(offsets)},
          {"texts", std::move(parts)},
          {"type_ids", numbers(encoding.type_ids)},
          {"attention_mask", numbers(encoding.attention)},
          {"special_tokens_mask", numbers(encoding.special)},
          {"overflow", std::move(overflow)}};
}

void print_encoding(const Encoding& encoding, const Tokenizer& tokenizer, const std::u32string (&texts)[2]) {
  Table table({"id", "token", "begin", "end", "type", "text"});
  const std::vector<std::string> parts = texts_of(encoding, texts);
  for (size_t i = 0; i < encoding.size(); ++i) {
    const auto [begin, end] = encoding.offsets[i];
    const bool around = encoding.text_of[i] == kOfNoText;
    table.add({std::to_string(encoding.ids[i]), tokenizer.token_text(encoding.ids[i]),
               around ? "" : std::to_string(begin), around ? "" : std::to_string(end),
               std::to_string(encoding.type_ids[i]), around ? "" : dump_json(Json(parts[i]))});
  }
  table.print();
  for (size_t i = 0; i < encoding.overflow.size(); ++i) {
    print_line(fmt::format("\nwhat was cut off, part {} of {}:", i + 1, encoding.overflow.size()));
    print_encoding(encoding.overflow[i], tokenizer, texts);
  }
}

Result<int> encode_richly(const EncodeFlags& flags, const Tokenizer& tokenizer, const std::string& text) {
  const EncodingOptions options = TRY(encoding_options(flags, tokenizer));
  const TextPair pair{text, flags.pair ? std::optional<std::string_view>(*flags.pair) : std::nullopt};
  const Encoding encoding = TRY(tokenizer.encode_with_offsets(pair, options));
  const std::u32string texts[2] = {to_code_points(to_valid_utf8(text)),
                                   to_code_points(to_valid_utf8(flags.pair.value_or("")))};
  if (flags.json)
    print_json(encoding_json(encoding, tokenizer, texts));
  else
    print_encoding(encoding, tokenizer, texts);
  return 0;
}

Result<int> encode(const EncodeFlags& flags) {
  const auto tokenizer = TRY(open_model_tokenizer(flags.model, flags.workspace));
  const std::string text = flags.text           ? *flags.text
                           : flags.file.empty() ? read_standard_input()
                                                : TRY(read_file(flags.file));
  if (flags.is_rich()) return encode_richly(flags, *tokenizer, text);
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
  const auto tokenizer = TRY(open_model_tokenizer(flags.model, flags.workspace));
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

}  // namespace

Result<std::unique_ptr<Tokenizer>> open_model_tokenizer(const std::string& model,
                                                        const std::string& workspace) {
  return open_tokenizer(TRY(resolve_model(workspace, model)));
}

void add_tokenizer_options(CLI::App& command, std::string& model, std::string& workspace) {
  command
      .add_option("--model", model,
                  "Model folder, .gguf or .tiktoken file, or a version of the workspace (v3, production)")
      ->required();
  command.add_option("--workspace", workspace, "Folder with volant.toml, for versions")
      ->capture_default_str();
}

void add_tokenizer_encode(CLI::App& tokenizer, Action& action) {
  const auto flags = std::make_shared<EncodeFlags>();
  CLI::App* command = tokenizer.add_subcommand("encode", "Text to token ids");
  add_tokenizer_options(*command, flags->model, flags->workspace);
  CLI::Option* text = command->add_option("--text", flags->text, "The text; default: standard input");
  command->add_option("--file", flags->file, "A file with the text, as it is")->excludes(text);
  command->add_flag("--no-special", flags->no_special, "Add no begin or end token");
  command->add_flag("--plain", flags->plain, "Read <|im_end|> and the like as plain text, as from a user");
  command->add_flag("--tokens", flags->tokens, "Show each token as it is in the vocabulary");
  command->add_flag("--offsets", flags->offsets,
                    "Show the part of the text that each token stands for, in characters");
  command->add_option("--pair", flags->pair, "A second text beside the first, as for BERT; shows offsets");
  CLI::Option* truncate =
      command
          ->add_option("--truncate", flags->truncate,
                       "Tokens at most, with those put around; the rest is shown as parts")
          ->check(CLI::Range(0U, kMaxLength))
          ->option_text("N");
  command->add_option("--stride", flags->stride, "Tokens that such parts share, with --truncate")
      ->needs(truncate)
      ->option_text("N");
  command->add_option("--pad", flags->pad, "Fill up to so many tokens")
      ->check(CLI::Range(0U, kMaxLength))
      ->option_text("N");
  command->add_flag("--as-filed", flags->as_filed, "Cut and fill as the tokenizer's file says");
  command->add_flag("--json", flags->json,
                    "Print {\"ids\": [...]}; with --offsets and what implies it also offsets, texts, masks");
  command->footer(
      "Examples:\n  volant tokenizer encode --model models/stories15M --text \"Once upon a time\" --json\n"
      "  volant tokenizer encode --model model.gguf --tokens < story.txt\n"
      "  volant tokenizer encode --model bert --text \"Who wrote it?\" --pair \"Ann wrote it.\" --offsets\n"
      "  volant tokenizer encode --model bert --file long.txt --truncate 512 --stride 64 --json");
  command->callback([flags, &action] { action = [flags] { return encode(*flags); }; });
}

void add_tokenizer_decode(CLI::App& tokenizer, Action& action) {
  const auto flags = std::make_shared<DecodeFlags>();
  CLI::App* command = tokenizer.add_subcommand("decode", "Token ids to text");
  add_tokenizer_options(*command, flags->model, flags->workspace);
  command->add_option("--ids", flags->ids, "The ids, with blanks or commas; default: standard input");
  command->add_flag("--keep-special", flags->keep_special, "Show special tokens too");
  command->add_flag("--json", flags->json, "Print {\"text\": ...}");
  command->footer(
      "Examples:\n  volant tokenizer decode --model models/stories15M --ids 1,9038,2501,263,931\n"
      "  volant tokenizer encode --model model.gguf < story.txt | volant tokenizer decode --model model.gguf");
  command->callback([flags, &action] { action = [flags] { return decode(*flags); }; });
}

}  // namespace volant::cli
