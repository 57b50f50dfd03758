#include "text/vocabulary_files.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "text/base64.h"
#include "text/byte_level.h"
#include "text/pipeline_tokenizer.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxVocab = 4'000'000;
constexpr size_t kMaxTokenBytes = 512;

std::optional<int32_t> id_of(const std::vector<std::string>& tokens, const std::string& text) {
  const auto found = std::find(tokens.begin(), tokens.end(), text);
  return found == tokens.end() ? std::nullopt
                               : std::optional<int32_t>(static_cast<int32_t>(found - tokens.begin()));
}

// The `name` of tokenizer_config.json, or what BERT calls it.
std::string special_text(const TokenizerConfig& config, std::string_view name, const char* otherwise) {
  const Json* value = config.json.if_contains(name);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : otherwise;
}

struct RankFile {
  std::string_view name;
  WordPattern pattern;
  std::vector<std::pair<const char*, int32_t>> special;
};

const std::vector<RankFile>& known_rank_files() {
  static const std::vector<RankFile> known{
      {"r50k_base", WordPattern::kGpt2, {{"<|endoftext|>", 50256}}},
      {"p50k_base", WordPattern::kGpt2, {{"<|endoftext|>", 50256}}},
      {"cl100k_base",
       WordPattern::kLlama3,
       {{"<|endoftext|>", 100257},
        {"<|fim_prefix|>", 100258},
        {"<|fim_middle|>", 100259},
        {"<|fim_suffix|>", 100260},
        {"<|endofprompt|>", 100276}}},
      {"o200k_base", WordPattern::kO200k, {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}}}};
  return known;
}

// Calls line(text) for each line of a file.
template <class Line>
Status each_line(std::string_view text, const Line& line) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view row = text.substr(0, end);
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (Status status = line(row); !status) return status;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

// Tokens by rank, as bytes.
Result<std::vector<std::string>> read_ranks(const Path& file) {
  const std::string text = TRY(read_file(file));
  std::vector<std::string> tokens;
  size_t n = 0;
  const Status read = each_line(text, [&](std::string_view row) -> Status {
    ++n;
    if (row.empty()) return {};
    const size_t blank = row.find(' ');
    size_t rank = kMaxVocab;
    if (blank != std::string_view::npos) {
      const auto [end, error] = std::from_chars(row.data() + blank + 1, row.data() + row.size(), rank);
      if (error != std::errc() || end != row.data() + row.size()) rank = kMaxVocab;
    }
    if (rank >= kMaxVocab)
      return fail(ErrorCode::kParse, "line {}: expected base64, a blank and a rank below {}", n, kMaxVocab);
    std::string bytes = TRY(decode_base64(row.substr(0, blank)));
    if (bytes.empty() || bytes.size() > kMaxTokenBytes)
      return fail(ErrorCode::kParse, "line {}: expected a token of 1 to {} bytes", n, kMaxTokenBytes);
    if (rank >= tokens.size()) tokens.resize(rank + 1);
    if (!tokens[rank].empty()) return fail(ErrorCode::kParse, "line {}: rank {} occurs twice", n, rank);
    tokens[rank] = std::move(bytes);
    return {};
  });
  if (!read) return Error(read.error()).at(file.string());
  return tokens;
}

// tiktoken joins any two neighbours that make a token, lowest rank first: every way to split a token is a
// merge.
BpeModel::Parts merges_of_ranks(const std::vector<std::string>& tokens) {
  BpeModel::Parts parts;
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    parts.tokens.push_back(bytes_to_alphabet(tokens[id]));
    if (!tokens[id].empty()) ids.emplace(tokens[id], static_cast<int32_t>(id));
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view text = tokens[id];
    for (size_t at = 1; at < text.size(); ++at) {
      const auto left = ids.find(text.substr(0, at));
      if (left == ids.end()) continue;
      const auto right = ids.find(text.substr(at));
      if (right == ids.end()) continue;
      parts.merges.push_back({left->second, right->second});
      parts.ranks.push_back(static_cast<int32_t>(id));
    }
  }
  parts.ignore_merges = true;
  return parts;
}

// Rows "a b" of a merges.txt; its first line may be a version.
Result<JsonArray> read_merge_lines(const Path& file) {
  const std::string text = TRY(read_file(file));
  JsonArray rows;
  size_t n = 0;
  const Status read = each_line(text, [&](std::string_view row) -> Status {
    ++n;
    if (row.empty() || (n == 1 && row.starts_with("#version"))) return {};
    if (rows.size() == kMaxVocab || row.size() > 2 * kMaxTokenBytes || !is_valid_utf8(row))
      return fail(ErrorCode::kParse, "line {}: expected two tokens of at most {} bytes of UTF-8", n,
                  kMaxTokenBytes);
    rows.emplace_back(row);
    return {};
  });
  if (!read) return Error(read.error()).at(file.string());
  return rows;
}

// The special tokens that a class has by itself, where tokenizer_config.json names no others.
Result<JsonArray> special_rows(const Json& vocab, const TokenizerConfig& config) {
  JsonArray rows;
  std::vector<std::string> seen;
  for (const auto& text : {config.unk, config.bos, config.eos, config.pad}) {
    const bool listed = !text || std::ranges::count(seen, *text) > 0 ||
                        std::ranges::any_of(config.added, [&](const auto& t) { return t.content == *text; });
    if (listed) continue;
    const Json* id = json_find(vocab, *text);
    if (id == nullptr || !id->is_int64() || id->get_int64() < 0 ||
        id->get_int64() >= static_cast<int64_t>(kMaxVocab))
      return fail(ErrorCode::kParse, "the vocabulary has no special token '{}'", *text);
    seen.push_back(*text);
    rows.push_back(
        to_json(AddedToken{static_cast<int32_t>(id->get_int64()), *text, true, false, false, false, false}));
  }
  return rows;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_bert_tokenizer(std::vector<std::string> tokens,
                                                       const TokenizerConfig& config) {
  if (!config.tokenizer_class.empty() && config.tokenizer_class.find("Bert") == std::string::npos &&
      config.tokenizer_class != "PreTrainedTokenizerFast")
    return fail(ErrorCode::kUnsupported, "tokenizer_class '{}' with a vocab.txt", config.tokenizer_class);
  const Json settings = config.json;
  JsonObject cleaning{{"type", "BertNormalizer"}, {"clean_text", true}};
  cleaning["handle_chinese_chars"] = TRY(json_bool_or(settings, "tokenize_chinese_chars", true));
  const bool lowercase = TRY(json_bool_or(settings, "do_lower_case", true));
  cleaning["lowercase"] = lowercase;
  const Json* strip = json_find(settings, "strip_accents");
  cleaning["strip_accents"] = strip == nullptr ? Json(nullptr) : *strip;
  PipelineTokenizer::Parts parts;
  parts.normalizer = TRY(TextNormalizer::parse(cleaning));
  parts.pre_tokenizer = TRY(PreTokenizer::parse(JsonObject{{"type", "BertPreTokenizer"}}));
  parts.decoder = TokenDecoder::word_piece("##", true);
  int32_t cls = 0, sep = 0;
  std::string cls_text, sep_text;
  for (const auto& [name, otherwise] : {std::pair{"pad_token", "[PAD]"},
                                        {"unk_token", "[UNK]"},
                                        {"cls_token", "[CLS]"},
                                        {"sep_token", "[SEP]"},
                                        {"mask_token", "[MASK]"}}) {
    const std::string text = special_text(config, name, otherwise);
    const std::optional<int32_t> id = id_of(tokens, text);
    if (!id) {
      if (std::string_view(name) == "pad_token" || std::string_view(name) == "mask_token") continue;
      return fail(ErrorCode::kParse, "the vocabulary has no '{}', its {}", text, name);
    }
    parts.added.push_back({*id, text, true, false, false, false, false});
    if (std::string_view(name) == "unk_token") parts.unk = *id;
    if (std::string_view(name) == "cls_token") std::tie(cls, cls_text) = std::pair(*id, text);
    if (std::string_view(name) == "sep_token") std::tie(sep, sep_text) = std::pair(*id, text);
  }
  parts.post_processor = PostProcessor::bert(cls, sep, cls_text, sep_text);
  parts.wordpiece = std::make_unique<WordPieceModel>(tokens, "##", *parts.unk, 100);
  parts.tokens = std::move(tokens);
  parts.config = config.json;
  if (config.tokenizer_class.empty()) parts.config["tokenizer_class"] = "BertTokenizer";
  return std::unique_ptr<Tokenizer>(TRY(PipelineTokenizer::build(std::move(parts))));
}

Result<std::unique_ptr<Tokenizer>> load_vocab_txt(const Path& file, const TokenizerConfig& config) {
  const std::string text = TRY(read_file(file));
  std::vector<std::string> tokens;
  const Status read = each_line(text, [&tokens](std::string_view row) -> Status {
    if (tokens.size() == kMaxVocab || row.size() > kMaxTokenBytes || !is_valid_utf8(row))
      return fail(ErrorCode::kParse, "line {}: expected a token of at most {} bytes of UTF-8",
                  tokens.size() + 1, kMaxTokenBytes);
    tokens.emplace_back(row);
    return {};
  });
  if (!read) return Error(read.error()).at(file.string());
  auto made = make_bert_tokenizer(std::move(tokens), config);
  if (!made) return std::move(made).error().at(file.string());
  return made;
}

Result<std::unique_ptr<Tokenizer>> load_tiktoken(const Path& file, const TokenizerConfig& config) {
  const std::string name = file.stem().string();
  const auto& known = known_rank_files();
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const RankFile& k) { return k.name == name; });
  if (found == known.end())
    return fail(ErrorCode::kUnsupported,
                "rank file '{}'; known are r50k_base, p50k_base, cl100k_base and o200k_base", name)
        .at(file.string());
  BpeModel::Parts bpe = merges_of_ranks(TRY(read_ranks(file)));
  PipelineTokenizer::Parts parts;
  parts.tokens = bpe.tokens;
  parts.byte_level = true;
  auto model = BpeModel::build(std::move(bpe));
  if (!model) return std::move(model).error().at(file.string());
  parts.bpe = std::make_unique<BpeModel>(std::move(*model));
  parts.pre_tokenizer = PreTokenizer::byte_level(found->pattern);
  parts.decoder = TokenDecoder::byte_level();
  for (const auto& [text, id] : found->special)
    parts.added.push_back({id, text, true, false, false, false, false});
  parts.eos = found->special[0].second;
  parts.config = config.json;
  if (config.tokenizer_class.empty()) parts.config["tokenizer_class"] = "PreTrainedTokenizerFast";
  if (!config.eos) parts.config["eos_token"] = found->special[0].first;
  return std::unique_ptr<Tokenizer>(TRY(PipelineTokenizer::build(std::move(parts))));
}

Result<std::unique_ptr<Tokenizer>> load_vocab_and_merges(const Path& folder, TokenizerConfig config) {
  const std::string& name = config.tokenizer_class;
  const bool gpt2 = name.empty() || name == "GPT2Tokenizer" || name == "GPT2TokenizerFast";
  const bool qwen2 = name == "Qwen2Tokenizer" || name == "Qwen2TokenizerFast";
  if (!gpt2 && !qwen2)
    return fail(ErrorCode::kUnsupported,
                "tokenizer_class '{}' with vocab.json and merges.txt; known are GPT2Tokenizer and "
                "Qwen2Tokenizer; a tokenizer.json beside them would be read",
                name);
  if (config.add_bos.value_or(false))
    return fail(ErrorCode::kUnsupported, "add_bos_token with vocab.json and merges.txt");
  if (gpt2) {
    for (auto* token : {&config.unk, &config.bos, &config.eos})
      if (!*token) *token = kGpt2EndOfText;
    if (name.empty()) config.json["tokenizer_class"] = "GPT2Tokenizer";
    config.json["bos_token"] = *config.bos;
    config.json["eos_token"] = *config.eos;
  }
  const Path file = folder / "vocab.json";
  const std::string text = TRY(read_file(file));
  Result<Json> vocab = parse_json(text);
  if (!vocab) return std::move(vocab).error().at(file.string());
  if (!vocab->is_object()) return fail(ErrorCode::kParse, "expected a JSON object").at(file.string());
  auto special = special_rows(*vocab, config);
  if (!special) return std::move(special).error().at(file.string());
  const bool prefix_space = config.add_prefix_space.value_or(false);
  const PreTokenizer words = TRY(PreTokenizer::named(gpt2 ? "gpt-2" : "qwen2", prefix_space));
  JsonObject model{{"type", "BPE"}, {"vocab", std::move(*vocab)}};
  model["merges"] = TRY(read_merge_lines(folder / "merges.txt"));
  return make_pipeline_tokenizer(
      JsonObject{{"added_tokens", std::move(*special)},
                 {"normalizer", gpt2 ? Json(nullptr) : Json(JsonObject{{"type", "NFC"}})},
                 {"pre_tokenizer", words.to_json()},
                 {"post_processor", JsonObject{{"type", "ByteLevel"}, {"trim_offsets", false}}},
                 {"decoder", JsonObject{{"type", "ByteLevel"}}},
                 {"model", std::move(model)}},
      config);
}

}  // namespace volant
