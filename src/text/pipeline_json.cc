// A tokenizer.json read into a PipelineTokenizer, and written from one.
#include <cmath>

#include "text/merge_row.h"
#include "text/pipeline_tokenizer.h"
#include "text/spm_model.h"

namespace volant {
namespace {

using Parts = PipelineTokenizer::Parts;
using IdMap = std::unordered_map<std::string, int32_t>;

constexpr int32_t kMaxVocab = 4'000'000;
constexpr size_t kMaxTokenBytes = 65536;
constexpr int64_t kMaxWordCharacters = 100'000;

Result<IdMap> read_vocab(const Json& model, std::vector<std::string>& tokens) {
  const Json* vocab = json_find(model, "vocab");
  if (vocab == nullptr || !vocab->is_object())
    return fail(ErrorCode::kParse, "expected an object 'vocab' in the model");
  IdMap ids;
  ids.reserve(vocab->get_object().size());
  for (const auto& [text, id] : vocab->get_object()) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= kMaxVocab)
      return fail(ErrorCode::kParse, "expected an id below {} for token '{}'", kMaxVocab,
                  std::string_view(text));
    if (text.size() > kMaxTokenBytes)
      return fail(ErrorCode::kLimit, "token {} has {} bytes, more than {}", id.get_int64(), text.size(),
                  kMaxTokenBytes);
    const auto at = static_cast<size_t>(id.get_int64());
    if (at >= tokens.size()) tokens.resize(at + 1);
    if (!tokens[at].empty())
      return fail(ErrorCode::kParse, "tokens '{}' and '{}' have the same id {}", tokens[at],
                  std::string_view(text), at);
    tokens[at] = text;
    ids.emplace(tokens[at], static_cast<int32_t>(at));
  }
  return ids;
}

std::optional<int32_t> id_in(const IdMap& ids, const std::string& text) {
  const auto found = ids.find(text);
  return found == ids.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

Result<std::vector<MergePair>> read_merges(const Json& model, const IdMap& ids) {
  const Json* list = json_find(model, "merges");
  if (list == nullptr || !list->is_array())
    return fail(ErrorCode::kParse, "expected an array 'merges' in a BPE model");
  std::vector<MergePair> merges;
  merges.reserve(list->get_array().size());
  for (const Json& row : list->get_array()) {
    const auto [left, right] = TRY(parse_merge_row(row, merges.size()));
    const auto a = ids.find(left), b = ids.find(right);
    if (a == ids.end() || b == ids.end())
      return fail(ErrorCode::kParse, "merge {} names '{}', which is not in the vocabulary", merges.size(),
                  a == ids.end() ? left : right);
    merges.push_back({a->second, b->second});
  }
  return merges;
}

Status read_bpe(const Json& model, Parts& parts) {
  if (const Json* dropout = json_find(model, "dropout"); dropout != nullptr)
    if (!dropout->is_number() || dropout->to_number<double>() != 0.0)
      return fail(ErrorCode::kUnsupported, "BPE with dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!TRY(json_string_or(model, key, "")).empty())
      return fail(ErrorCode::kUnsupported, "BPE with {}", key);
  const IdMap ids = TRY(read_vocab(model, parts.tokens));
  BpeModel::Parts bpe;
  bpe.merges = TRY(read_merges(model, ids));
  bpe.ignore_merges = TRY(json_bool_or(model, "ignore_merges", false));
  bpe.byte_fallback = TRY(json_bool_or(model, "byte_fallback", false));
  bpe.fuse_unk = TRY(json_bool_or(model, "fuse_unk", false));
  bpe.characters = !parts.byte_level;
  if (parts.byte_level && bpe.byte_fallback)
    return fail(ErrorCode::kUnsupported, "byte-level BPE with byte_fallback");
  if (parts.byte_level && !parts.decoder.is_byte_level())
    return fail(ErrorCode::kUnsupported, "byte-level BPE with decoder {}; expected ByteLevel",
                dump_json(parts.decoder.to_json()));
  if (const std::string unk = TRY(json_string_or(model, "unk_token", "")); !unk.empty())
    bpe.unk = parts.unk = id_in(ids, unk);
  bpe.tokens = parts.tokens;
  parts.bpe = std::make_unique<BpeModel>(TRY(BpeModel::build(std::move(bpe))));
  return {};
}

Status read_wordpiece(const Json& model, Parts& parts) {
  const IdMap ids = TRY(read_vocab(model, parts.tokens));
  const std::string unk = TRY(json_string_or(model, "unk_token", "[UNK]"));
  const std::string prefix = TRY(json_string_or(model, "continuing_subword_prefix", "##"));
  const int64_t most = TRY(json_int_or(model, "max_input_chars_per_word", 100));
  parts.unk = id_in(ids, unk);
  if (!parts.unk) return fail(ErrorCode::kParse, "the vocabulary has no '{}', its unknown token", unk);
  if (most < 0 || most > kMaxWordCharacters)
    return fail(ErrorCode::kParse, "expected max_input_chars_per_word from 0 to {}, got {}",
                kMaxWordCharacters, most);
  parts.wordpiece =
      std::make_unique<WordPieceModel>(parts.tokens, prefix, *parts.unk, static_cast<size_t>(most));
  return {};
}

// The ids of "<0x00>" to "<0xFF>"; empty when one is missing.
std::vector<int32_t> byte_ids_of(const std::vector<std::string>& tokens) {
  std::vector<int32_t> ids(256, -1);
  for (size_t id = 0; id < tokens.size(); ++id)
    if (const int byte = byte_piece_value(tokens[id]); byte >= 0)
      ids[static_cast<size_t>(byte)] = static_cast<int32_t>(id);
  if (std::find(ids.begin(), ids.end(), -1) != ids.end()) ids.clear();
  return ids;
}

Status read_unigram(const Json& model, Parts& parts) {
  const Json* vocab = json_find(model, "vocab");
  if (vocab == nullptr || !vocab->is_array() || vocab->get_array().empty() ||
      vocab->get_array().size() > static_cast<size_t>(kMaxVocab))
    return fail(ErrorCode::kParse, "expected an array 'vocab' in a Unigram model");
  std::vector<UnigramModel::Piece> pieces;
  for (const Json& row : vocab->get_array()) {
    if (!row.is_array() || row.get_array().size() != 2 || !row.get_array()[0].is_string() ||
        !row.get_array()[1].is_number())
      return fail(ErrorCode::kParse, "expected piece {} as [text, score]", pieces.size());
    UnigramModel::Piece piece{std::string(row.get_array()[0].get_string()),
                              row.get_array()[1].to_number<double>(), UnigramModel::Use::kNormal};
    if (piece.text.size() > kMaxTokenBytes || !std::isfinite(piece.score))
      return fail(ErrorCode::kParse, "piece {} has {} bytes and score {}", pieces.size(), piece.text.size(),
                  piece.score);
    parts.tokens.push_back(piece.text);
    parts.scores.push_back(piece.score);
    pieces.push_back(std::move(piece));
  }
  const int64_t unk = TRY(json_int(model, "unk_id"));
  if (unk < 0 || unk >= static_cast<int64_t>(pieces.size()))
    return fail(ErrorCode::kParse, "expected an unk_id below {}, got {}", pieces.size(), unk);
  parts.unk = static_cast<int32_t>(unk);
  parts.byte_fallback = TRY(json_bool_or(model, "byte_fallback", false));
  UnigramModel::Options options;
  options.unk = *parts.unk;
  if (parts.byte_fallback) options.byte_ids = byte_ids_of(parts.tokens);
  parts.unigram = std::make_unique<UnigramModel>(pieces, std::move(options));
  return {};
}

Status read_model(const Json& model, Parts& parts) {
  // Old files leave the type out.
  const bool list = json_find(model, "vocab") != nullptr && json_find(model, "vocab")->is_array();
  const std::string guess = list ? "Unigram" : json_find(model, "merges") != nullptr ? "BPE" : "WordPiece";
  const std::string type = TRY(json_string_or(model, "type", guess));
  if (type == "BPE") return read_bpe(model, parts);
  if (type == "WordPiece") return read_wordpiece(model, parts);
  if (type == "Unigram") return read_unigram(model, parts);
  return fail(ErrorCode::kUnsupported, "tokenizer model '{}'; known are BPE, WordPiece and Unigram", type);
}

Status read_added(const Json& json, const TokenizerConfig& config, Parts& parts) {
  if (const Json* list = json_find(json, "added_tokens"); list != nullptr) {
    if (!list->is_array()) return fail(ErrorCode::kParse, "expected an array 'added_tokens'");
    for (const Json& row : list->get_array())
      parts.added.push_back(TRY(parse_added_token(row, std::nullopt)));
  }
  std::unordered_map<std::string, size_t> known;
  for (size_t i = 0; i < parts.added.size(); ++i) known.emplace(parts.added[i].content, i);
  for (const AddedToken& token : config.added)
    if (!known.contains(token.content)) parts.added.push_back(token);
  return {};
}

JsonArray merge_rows(const Parts& parts, const StringTable& tokens) {
  JsonArray merges;
  for (const MergePair& pair : parts.bpe->merges())
    merges.push_back(JsonArray{Json(tokens[static_cast<size_t>(pair.left)]),
                               Json(tokens[static_cast<size_t>(pair.right)])});
  return merges;
}

Json model_json(const Parts& parts, const StringTable& tokens) {
  const Json unk = parts.unk ? Json(tokens[static_cast<size_t>(*parts.unk)]) : Json(nullptr);
  if (parts.unigram) {
    JsonArray vocab;
    for (size_t id = 0; id < tokens.size(); ++id)
      vocab.push_back(JsonArray{Json(tokens[id]), Json(parts.scores[id])});
    return JsonObject{{"type", "Unigram"},
                      {"unk_id", *parts.unk},
                      {"vocab", std::move(vocab)},
                      {"byte_fallback", parts.byte_fallback}};
  }
  JsonObject vocab;
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty()) vocab.emplace(tokens[id], static_cast<int64_t>(id));
  if (parts.wordpiece)
    return JsonObject{{"type", "WordPiece"},
                      {"unk_token", unk},
                      {"continuing_subword_prefix", parts.wordpiece->prefix()},
                      {"max_input_chars_per_word", parts.wordpiece->max_characters()},
                      {"vocab", std::move(vocab)}};
  return JsonObject{{"type", "BPE"},
                    {"dropout", nullptr},
                    {"unk_token", unk},
                    {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr},
                    {"fuse_unk", parts.bpe->fuse_unk()},
                    {"byte_fallback", parts.bpe->byte_fallback()},
                    {"ignore_merges", parts.bpe->ignore_merges()},
                    {"vocab", std::move(vocab)},
                    {"merges", merge_rows(parts, tokens)}};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_pipeline_tokenizer(const Json& tokenizer_json,
                                                           const TokenizerConfig& config) {
  const Json* model = json_find(tokenizer_json, "model");
  if (model == nullptr) return fail(ErrorCode::kParse, "expected an object 'model' in tokenizer.json");
  Parts parts;
  if (const Json* json = json_find(tokenizer_json, "normalizer"))
    parts.normalizer = TRY(TextNormalizer::parse(*json));
  if (const Json* json = json_find(tokenizer_json, "pre_tokenizer"))
    parts.pre_tokenizer = TRY(PreTokenizer::parse(*json));
  if (const Json* json = json_find(tokenizer_json, "decoder"))
    parts.decoder = TRY(TokenDecoder::parse(*json));
  if (const Json* json = json_find(tokenizer_json, "post_processor"))
    parts.post_processor = TRY(PostProcessor::parse(*json));
  parts.truncation = TRY(parse_truncation(json_find(tokenizer_json, "truncation")));
  parts.padding = TRY(parse_padding(json_find(tokenizer_json, "padding")));
  parts.byte_level = parts.pre_tokenizer.has_byte_level();
  if (Status status = read_model(*model, parts); !status) return std::move(status).error();
  if (parts.byte_level && !parts.bpe)
    return fail(ErrorCode::kUnsupported, "pre-tokenizer ByteLevel with a model that is not BPE");
  if (Status status = read_added(tokenizer_json, config, parts); !status) return std::move(status).error();
  IdMap ids;
  for (size_t id = parts.tokens.size(); id-- > 0;) ids[parts.tokens[id]] = static_cast<int32_t>(id);
  const auto special_id = [&](const std::optional<std::string>& text) -> std::optional<int32_t> {
    if (!text) return std::nullopt;
    for (const AddedToken& token : parts.added)
      if (token.content == *text) return token.id;
    return id_in(ids, *text);
  };
  parts.bos = special_id(config.bos);
  parts.eos = special_id(config.eos);
  parts.config = config.json;
  // GPT-2's own folder leaves its class, and with it this token, to be guessed from config.json.
  if (!config.eos && config.tokenizer_class.empty() && parts.byte_level)
    if (const auto end = special_id(kGpt2EndOfText)) {
      parts.eos = end;
      parts.config["eos_token"] = kGpt2EndOfText;
    }
  return std::unique_ptr<Tokenizer>(TRY(PipelineTokenizer::build(std::move(parts))));
}

Json PipelineTokenizer::tokenizer_json() const {
  JsonArray added;
  for (const AddedToken& token : parts_.added) added.push_back(to_json(token));
  return JsonObject{{"version", "1.0"},
                    {"truncation", to_json(parts_.truncation)},
                    {"padding", to_json(parts_.padding)},
                    {"added_tokens", std::move(added)},
                    {"normalizer", parts_.normalizer.to_json()},
                    {"pre_tokenizer", parts_.pre_tokenizer.to_json()},
                    {"post_processor", parts_.post_processor.to_json()},
                    {"decoder", parts_.decoder.to_json()},
                    {"model", model_json(parts_, tokens_)}};
}

Status PipelineTokenizer::save(const Path& folder) const {
  if (Status status = make_dirs(folder); !status) return status;
  if (Status status = write_file_atomic(folder / "tokenizer.json", dump_json(tokenizer_json())); !status)
    return status;
  return write_file_atomic(folder / "tokenizer_config.json", dump_json_pretty(parts_.config));
}

}  // namespace volant
