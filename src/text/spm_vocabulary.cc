#include "text/spm_vocabulary.h"

#include <unordered_map>

#include "text/merge_row.h"
#include "text/spm_tokenizer.h"

namespace volant {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";

// What the class of a tokenizer puts around a text when tokenizer_config.json does not say.
struct Around {
  bool bos = true, eos = false;
};

Result<Around> around(const TokenizerConfig& config) {
  const std::string& name = config.tokenizer_class;
  Around out;
  if (name.starts_with("T5") || name.starts_with("MT5")) {
    out = {false, true};
  } else if (!name.empty() && name != "LlamaTokenizer" && name != "LlamaTokenizerFast" &&
             name != "CodeLlamaTokenizer" && name != "CodeLlamaTokenizerFast" && name != "GemmaTokenizer" &&
             name != "GemmaTokenizerFast" && name != "PreTrainedTokenizerFast" &&
             name != "TokenizersBackend") {
    // XLM-R, Pegasus, mBART and others shift the ids of the model file.
    return fail(ErrorCode::kUnsupported, "tokenizer_class '{}' with a SentencePiece model", name);
  }
  out.bos = config.add_bos.value_or(out.bos);
  out.eos = config.add_eos.value_or(out.eos);
  return out;
}

Status add_declared(const Json* tokenizer_json, const TokenizerConfig& config, SpmTokenizer::Parts& parts) {
  std::unordered_map<std::string, bool> known;
  if (const Json* list = tokenizer_json == nullptr ? nullptr : json_find(*tokenizer_json, "added_tokens")) {
    if (!list->is_array()) return fail(ErrorCode::kParse, "expected an array 'added_tokens'");
    for (const Json& row : list->get_array()) {
      parts.added.push_back(TRY(parse_added_token(row, std::nullopt)));
      known[parts.added.back().content] = true;
    }
  }
  for (const AddedToken& token : config.added)
    if (!known.contains(token.content)) parts.added.push_back(token);
  return {};
}

// The blank in front goes before the first word only:
// `legacy: false`, or Metaspace with prepend_scheme "first".
bool prefix_first_only(const Json* tokenizer_json, const TokenizerConfig& config) {
  if (tokenizer_json != nullptr)
    if (const Json* pre = json_find(*tokenizer_json, "pre_tokenizer"))
      if (const Json* scheme = json_find(*pre, "prepend_scheme")) return *scheme == "first";
  return !config.legacy.value_or(true);
}

Result<std::unique_ptr<Tokenizer>> finish(SpmTokenizer::Parts parts, const Json* tokenizer_json,
                                          const TokenizerConfig& config) {
  const Around put = TRY(around(config));
  parts.add_bos = put.bos;
  parts.add_eos = put.eos;
  parts.bos = config.bos;
  parts.eos = config.eos;
  parts.config = config.json;
  parts.prefix_first_only = prefix_first_only(tokenizer_json, config);
  if (Status status = add_declared(tokenizer_json, config, parts); !status) return std::move(status).error();
  return std::unique_ptr<Tokenizer>(TRY(SpmTokenizer::build(std::move(parts))));
}

// Whether the normaliser and pre-tokeniser are those that
// conversion from SentencePiece writes; sets the blank in front.
Status read_blanks(const Json& json, bool& add_dummy_prefix) {
  const Json* normalizer = json_find(json, "normalizer");
  const Json* pre = json_find(json, "pre_tokenizer");
  if (pre != nullptr) {
    const std::string type = TRY(json_string(*pre, "type"));
    if (type != "Metaspace" || normalizer != nullptr)
      return fail(ErrorCode::kUnsupported, "pre-tokenizer '{}' with byte_fallback", type);
    const std::string scheme = TRY(json_string_or(*pre, "prepend_scheme", "always"));
    add_dummy_prefix = scheme != "never" && TRY(json_bool_or(*pre, "add_prefix_space", true));
    return {};
  }
  if (normalizer == nullptr) return fail(ErrorCode::kUnsupported, "byte_fallback without a normalizer");
  JsonArray steps{*normalizer};
  if (const Json* list = json_find(*normalizer, "normalizers"); list != nullptr && list->is_array())
    steps = list->get_array();
  add_dummy_prefix = false;
  bool replaces = false;
  for (const Json& step : steps) {
    const std::string type = TRY(json_string(step, "type"));
    const Json* pattern = json_find(step, "pattern");
    const Json* text = pattern == nullptr ? nullptr : json_find(*pattern, "String");
    if (type == "Prepend" && TRY(json_string(step, "prepend")) == kBlankMark) {
      add_dummy_prefix = true;
    } else if (type == "Replace" && text != nullptr && *text == " " &&
               TRY(json_string(step, "content")) == kBlankMark) {
      replaces = true;
    } else {
      return fail(ErrorCode::kUnsupported, "normalizer '{}' with byte_fallback", type);
    }
  }
  return replaces ? Status() : fail(ErrorCode::kUnsupported, "byte_fallback without a normalizer for blanks");
}

using IdMap = std::unordered_map<std::string, int32_t>;

// The score of a piece is the rank of its first merge, negated. SentencePiece joins any two neighbours that
// make a piece, so the merges must be all the ways to split every piece that is merged at all.
Status scores_from_merges(const Json& model, const IdMap& ids, std::vector<SpmPiece>& pieces) {
  const Json* list = json_find(model, "merges");
  if (list == nullptr || !list->is_array()) return fail(ErrorCode::kParse, "expected an array 'merges'");
  std::vector<uint32_t> ways(pieces.size());
  int64_t rank = 0;
  for (const Json& row : list->get_array()) {
    const auto [left, right] = TRY(parse_merge_row(row, static_cast<size_t>(rank)));
    const auto found = ids.find(left + right);
    if (found == ids.end() || !ids.contains(left) || !ids.contains(right))
      return fail(ErrorCode::kParse, "merge {} ('{}', '{}') is not in the vocabulary", rank, left, right);
    const auto id = static_cast<size_t>(found->second);
    if (ways[id]++ == 0) pieces[id].score = -static_cast<float>(rank);
    ++rank;
  }
  for (size_t id = 0; id < pieces.size(); ++id) {
    const std::string& text = pieces[id].text;
    if (pieces[id].type != PieceType::kNormal) continue;
    uint32_t splits = 0;
    for (size_t at = 1; at < text.size(); ++at) {
      const auto left = ids.find(text.substr(0, at)), right = ids.find(text.substr(at));
      if (left != ids.end() && right != ids.end() &&
          pieces[static_cast<size_t>(left->second)].type == PieceType::kNormal &&
          pieces[static_cast<size_t>(right->second)].type == PieceType::kNormal)
        ++splits;
    }
    if (splits != ways[id])
      return fail(
          ErrorCode::kUnsupported,
          "BPE with byte_fallback whose merges are not a SentencePiece model's (piece '{}': {} of {} ways)",
          text, ways[id], splits);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_spm_tokenizer(const Path& model, const Json* tokenizer_json,
                                                      const TokenizerConfig& config) {
  SpmTokenizer::Parts parts;
  parts.bytes = TRY(read_file(model));
  Result<SpmModel> parsed = parse_spm_model(parts.bytes);
  if (!parsed) return std::move(parsed).error().at(model.string());
  parts.model = std::move(*parsed);
  return finish(std::move(parts), tokenizer_json, config);
}

Result<std::unique_ptr<Tokenizer>> make_spm_tokenizer(const Json& tokenizer_json,
                                                      const TokenizerConfig& config) {
  const Json* model = json_find(tokenizer_json, "model");
  const Json* vocab = model == nullptr ? nullptr : json_find(*model, "vocab");
  if (vocab == nullptr || !vocab->is_object()) return fail(ErrorCode::kParse, "expected an object 'vocab'");
  if (TRY(json_bool_or(*model, "ignore_merges", false)))
    return fail(ErrorCode::kUnsupported, "byte_fallback with ignore_merges");
  SpmTokenizer::Parts parts;
  SpmModel& spm = parts.model;
  spm.kind = SpmModel::Kind::kBpe;
  spm.byte_fallback = true;
  spm.remove_extra_whitespaces = false;
  spm.unk_piece = TRY(json_string(*model, "unk_token"));
  if (Status status = read_blanks(tokenizer_json, spm.add_dummy_prefix); !status)
    return std::move(status).error();
  const size_t n = vocab->get_object().size();
  spm.pieces.resize(n);
  IdMap ids;
  for (const auto& [text, id] : vocab->get_object()) {
    if (!id.is_int64() || id.get_int64() < 0 || static_cast<size_t>(id.get_int64()) >= n)
      return fail(ErrorCode::kParse, "expected an id below {} for piece '{}'", n, std::string_view(text));
    SpmPiece& piece = spm.pieces[static_cast<size_t>(id.get_int64())];
    piece.text = text;
    if (byte_piece_value(piece.text) >= 0) piece.type = PieceType::kByte;
    if (piece.text == spm.unk_piece) piece.type = PieceType::kUnknown;
    ids.emplace(piece.text, static_cast<int32_t>(id.get_int64()));
  }
  if (const Json* list = json_find(tokenizer_json, "added_tokens"); list != nullptr && list->is_array())
    for (const Json& row : list->get_array()) {
      const AddedToken token = TRY(parse_added_token(row, std::nullopt));
      if (const auto found = ids.find(token.content); found != ids.end() && token.content != spm.unk_piece)
        spm.pieces[static_cast<size_t>(found->second)].type = PieceType::kControl;
    }
  if (Status status = scores_from_merges(*model, ids, spm.pieces); !status) return std::move(status).error();
  return finish(std::move(parts), &tokenizer_json, config);
}

}  // namespace volant
