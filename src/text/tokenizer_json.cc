// Byte-level BPE as tokenizer.json, both ways.
#include "text/byte_bpe_tokenizer.h"
#include "text/merge_row.h"

namespace volant {
namespace {

constexpr int32_t kMaxVocab = 4'000'000;
constexpr size_t kMaxTokenBytes = 65536;

using IdMap = std::unordered_map<std::string, int32_t>;

Result<IdMap> read_vocab(const Json& model, std::vector<std::string>& tokens) {
  const Json* vocab = json_find(model, "vocab");
  if (vocab == nullptr || !vocab->is_object())
    return fail(ErrorCode::kParse, "expected an object 'vocab' in a BPE model");
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

// Options of the model that change ids and are not done here.
Status refuse_options(const Json& model) {
  if (const Json* dropout = json_find(model, "dropout"); dropout != nullptr)
    if (!dropout->is_number() || dropout->to_number<double>() != 0.0)
      return fail(ErrorCode::kUnsupported, "BPE with dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!TRY(json_string_or(model, key, "")).empty())
      return fail(ErrorCode::kUnsupported, "byte-level BPE with {}", key);
  if (TRY(json_bool_or(model, "byte_fallback", false)))
    return fail(ErrorCode::kUnsupported, "byte-level BPE with byte_fallback");
  return {};
}

Status check_decoder(const Json& json) {
  const Json* decoder = json_find(json, "decoder");
  if (decoder == nullptr) return fail(ErrorCode::kUnsupported, "byte-level BPE without a decoder");
  const std::string type = TRY(json_string(*decoder, "type"));
  if (type == "ByteLevel") return {};
  const Json* list = json_find(*decoder, "decoders");
  if (type == "Sequence" && list != nullptr && list->is_array() && list->get_array().size() == 1)
    if (const Json* inner = json_find(list->get_array()[0], "type");
        inner != nullptr && *inner == "ByteLevel")
      return {};
  return fail(ErrorCode::kUnsupported, "decoder '{}' of tokenizer.json; expected ByteLevel", type);
}

// The tokens that a post-processor puts around one text.
Status read_post_processor(const Json& json, ByteBpeTokenizer::Parts& parts, int depth) {
  const std::string type = TRY(json_string(json, "type"));
  if (type == "ByteLevel") return {};
  if (type == "Sequence" && depth == 0) {
    const Json* list = json_find(json, "processors");
    if (list == nullptr || !list->is_array())
      return fail(ErrorCode::kParse, "expected an array 'processors' in a Sequence");
    for (const Json& item : list->get_array())
      if (Status status = read_post_processor(item, parts, depth + 1); !status) return status;
    return {};
  }
  if (type != "TemplateProcessing")
    return fail(ErrorCode::kUnsupported, "post-processor '{}' of tokenizer.json", type);
  const Json* single = json_find(json, "single");
  const Json* special = json_find(json, "special_tokens");
  if (single == nullptr || !single->is_array() || special == nullptr)
    return fail(ErrorCode::kParse, "expected 'single' and 'special_tokens' in TemplateProcessing");
  bool after = false;
  for (const Json& piece : single->get_array()) {
    if (json_find(piece, "Sequence") != nullptr) {
      after = true;
      continue;
    }
    const Json* named = json_find(piece, "SpecialToken");
    if (named == nullptr)
      return fail(ErrorCode::kParse, "expected Sequence or SpecialToken in TemplateProcessing");
    const std::string name = TRY(json_string(*named, "id"));
    const Json* entry = json_find(*special, name);
    const Json* ids = entry == nullptr ? nullptr : json_find(*entry, "ids");
    if (ids == nullptr || !ids->is_array())
      return fail(ErrorCode::kParse, "TemplateProcessing names '{}', which special_tokens does not define",
                  name);
    for (const Json& id : ids->get_array()) {
      if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= kMaxVocab)
        return fail(ErrorCode::kParse, "expected ids for '{}' in TemplateProcessing", name);
      (after ? parts.suffix : parts.prefix).push_back(static_cast<int32_t>(id.get_int64()));
    }
  }
  return {};
}

Status read_added(const Json& json, const TokenizerConfig& config, ByteBpeTokenizer::Parts& parts) {
  if (const Json* list = json_find(json, "added_tokens"); list != nullptr) {
    if (!list->is_array()) return fail(ErrorCode::kParse, "expected an array 'added_tokens'");
    for (const Json& row : list->get_array())
      parts.added.push_back(TRY(parse_added_token(row, std::nullopt)));
  }
  std::unordered_map<std::string, size_t> known;
  for (size_t i = 0; i < parts.added.size(); ++i) known.emplace(parts.added[i].content, i);
  for (const AddedToken& token : config.added)
    if (!known.contains(token.content)) parts.added.push_back(token);
  for (const AddedToken& token : parts.added)
    if (token.id >= kMaxVocab)
      return fail(ErrorCode::kLimit, "added token '{}' has id {}, expected less than {}", token.content,
                  token.id, kMaxVocab);
  return {};
}

Json template_processing(const ByteBpeTokenizer& tokenizer, const std::vector<int32_t>& prefix,
                         const std::vector<int32_t>& suffix) {
  JsonArray single, pair;
  JsonObject special;
  const auto put = [&](JsonArray& list, int32_t id, int type) {
    const std::string text = tokenizer.token_text(id);
    list.push_back(JsonObject{{"SpecialToken", JsonObject{{"id", text}, {"type_id", type}}}});
    special[text] = JsonObject{{"id", text}, {"ids", JsonArray{id}}, {"tokens", JsonArray{Json(text)}}};
  };
  for (int type = 0; type < 2; ++type) {
    for (const int32_t id : prefix) {
      if (type == 0) put(single, id, 0);
      put(pair, id, type);
    }
    const JsonObject sequence{{"id", type == 0 ? "A" : "B"}, {"type_id", type}};
    if (type == 0) single.push_back(JsonObject{{"Sequence", sequence}});
    pair.push_back(JsonObject{{"Sequence", sequence}});
    for (const int32_t id : suffix) {
      if (type == 0) put(single, id, 0);
      put(pair, id, type);
    }
  }
  return JsonObject{
      {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_byte_bpe_tokenizer(const Json& tokenizer_json,
                                                           const TokenizerConfig& config) {
  const Json* model = json_find(tokenizer_json, "model");
  if (model == nullptr) return fail(ErrorCode::kParse, "expected an object 'model' in tokenizer.json");
  if (Status status = refuse_options(*model); !status) return std::move(status).error();
  if (Status status = check_decoder(tokenizer_json); !status) return std::move(status).error();
  ByteBpeTokenizer::Parts parts;
  const IdMap ids = TRY(read_vocab(*model, parts.tokens));
  parts.merges = TRY(read_merges(*model, ids));
  parts.ignore_merges = TRY(json_bool_or(*model, "ignore_merges", false));
  const auto id_of = [&ids](const std::string& text) -> std::optional<int32_t> {
    const auto found = ids.find(text);
    return found == ids.end() ? std::nullopt : std::optional<int32_t>(found->second);
  };
  if (const std::string unk = TRY(json_string_or(*model, "unk_token", "")); !unk.empty())
    parts.unk = id_of(unk);
  if (const Json* json = json_find(tokenizer_json, "normalizer"))
    parts.normalizer = TRY(TextNormalizer::parse(*json));
  if (const Json* json = json_find(tokenizer_json, "pre_tokenizer"))
    parts.pre_tokenizer = TRY(PreTokenizer::parse(*json));
  if (!parts.pre_tokenizer.has_byte_level())
    return fail(ErrorCode::kUnsupported, "BPE without a ByteLevel pre-tokenizer and without byte_fallback");
  if (const Json* json = json_find(tokenizer_json, "post_processor"))
    if (Status status = read_post_processor(*json, parts, 0); !status) return std::move(status).error();
  if (Status status = read_added(tokenizer_json, config, parts); !status) return std::move(status).error();
  const auto special_id = [&](const std::optional<std::string>& text) -> std::optional<int32_t> {
    if (!text) return std::nullopt;
    for (const AddedToken& token : parts.added)
      if (token.content == *text) return token.id;
    return id_of(*text);
  };
  parts.bos = special_id(config.bos);
  parts.eos = special_id(config.eos);
  parts.config = config.json;
  return std::unique_ptr<Tokenizer>(TRY(ByteBpeTokenizer::build(std::move(parts))));
}

Json ByteBpeTokenizer::tokenizer_json() const {
  JsonArray added;
  for (const AddedToken& token : parts_.added) added.push_back(to_json(token));
  JsonObject vocab;
  for (size_t id = 0; id < parts_.tokens.size(); ++id)
    if (!parts_.tokens[id].empty()) vocab.emplace(parts_.tokens[id], static_cast<int64_t>(id));
  JsonArray merges;
  for (const MergePair& pair : model_->merges())
    merges.push_back(JsonArray{Json(parts_.tokens[static_cast<size_t>(pair.left)]),
                               Json(parts_.tokens[static_cast<size_t>(pair.right)])});
  const Json byte_level = JsonObject{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}};
  const bool bare = parts_.prefix.empty() && parts_.suffix.empty();
  JsonObject model{{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", parts_.unk ? Json(token_text(*parts_.unk)) : Json(nullptr)},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", model_->ignore_merges()},
                   {"vocab", std::move(vocab)},
                   {"merges", std::move(merges)}};
  return JsonObject{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", parts_.normalizer.to_json()},
      {"pre_tokenizer", parts_.pre_tokenizer.to_json()},
      {"post_processor", bare ? byte_level : template_processing(*this, parts_.prefix, parts_.suffix)},
      {"decoder", byte_level},
      {"model", std::move(model)}};
}

Status ByteBpeTokenizer::save(const Path& folder) const {
  if (Status status = make_dirs(folder); !status) return status;
  if (Status status = write_file_atomic(folder / "tokenizer.json", dump_json(tokenizer_json())); !status)
    return status;
  return write_file_atomic(folder / "tokenizer_config.json", dump_json_pretty(parts_.config));
}

}  // namespace volant
