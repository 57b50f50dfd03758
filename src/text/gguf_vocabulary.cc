#include "text/gguf_vocabulary.h"

#include "text/pipeline_tokenizer.h"
#include "text/spm_tokenizer.h"
#include "text/string_table.h"
#include "text/vocabulary_files.h"

namespace volant {
namespace {

// llama.cpp's token types are SentencePiece's.
constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581
constexpr auto kPrefixFirstOnly = "volant.tokenizer.prefix_first_only";

// Typed look-ups in the metadata of a file.
class Keys {
 public:
  explicit Keys(const std::map<std::string, GgufValue>& metadata) : metadata_(metadata) {}
  template <class T>
  const T* find(const std::string& key) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? nullptr : std::get_if<T>(&found->second);
  }
  bool flag(const std::string& key, bool otherwise) const {
    const bool* value = find<bool>(key);
    return value == nullptr ? otherwise : *value;
  }
  std::string text(const std::string& key) const {
    const auto* value = find<std::string>(key);
    return value == nullptr ? "" : *value;
  }
  // An id of the vocabulary; nothing when the key is absent or the id out of range.
  std::optional<int32_t> id(const std::string& key, size_t n_vocab) const {
    uint64_t value = n_vocab;
    if (const auto* number = find<uint64_t>(key)) value = *number;
    if (const auto* number = find<int64_t>(key); number != nullptr && *number >= 0)
      value = static_cast<uint64_t>(*number);
    return value < n_vocab ? std::optional<int32_t>(static_cast<int32_t>(value)) : std::nullopt;
  }

 private:
  const std::map<std::string, GgufValue>& metadata_;
};

Result<const std::vector<std::string>*> tokens_of(const Keys& keys) {
  const auto* tokens = keys.find<std::vector<std::string>>("tokenizer.ggml.tokens");
  if (tokens == nullptr || tokens->empty())
    return fail(ErrorCode::kParse, "expected an array of strings").at("tokenizer.ggml.tokens");
  return tokens;
}

Result<std::vector<PieceType>> types_of(const Keys& keys, size_t n) {
  std::vector<PieceType> types(n, PieceType::kNormal);
  const auto* given = keys.find<std::vector<int64_t>>("tokenizer.ggml.token_type");
  if (given == nullptr) return types;
  if (given->size() != n)
    return fail(ErrorCode::kParse, "expected {} token types, got {}", n, given->size())
        .at("tokenizer.ggml.token_type");
  for (size_t i = 0; i < n; ++i) {
    if ((*given)[i] < 1 || (*given)[i] > 6)
      return fail(ErrorCode::kParse, "expected a type from 1 to 6 for token {}, got {}", i, (*given)[i])
          .at("tokenizer.ggml.token_type");
    types[i] = static_cast<PieceType>((*given)[i]);
  }
  return types;
}

// tokenizer_config.json for a vocabulary that came without one.
JsonObject config_of(const Keys& keys, const std::string& tokenizer_class,
                     const std::vector<std::string>& tokens, bool add_bos, bool add_eos) {
  JsonObject config{{"tokenizer_class", tokenizer_class}, {"clean_up_tokenization_spaces", false}};
  config["add_bos_token"] = add_bos;
  config["add_eos_token"] = add_eos;
  for (const auto& [name, key] : {std::pair{"bos_token", "bos"},
                                  {"eos_token", "eos"},
                                  {"unk_token", "unknown"},
                                  {"pad_token", "padding"}}) {
    const auto id = keys.id(std::string("tokenizer.ggml.") + key + "_token_id", tokens.size());
    config[name] = id ? Json(tokens[static_cast<size_t>(*id)]) : Json(nullptr);
  }
  if (const std::string chat = keys.text("tokenizer.chat_template"); !chat.empty())
    config["chat_template"] = chat;
  return config;
}

Result<std::unique_ptr<Tokenizer>> make_spm(const Keys& keys, bool unigram) {
  const std::vector<std::string>& tokens = *TRY(tokens_of(keys));
  const std::vector<PieceType> types = TRY(types_of(keys, tokens.size()));
  const auto* scores = keys.find<std::vector<double>>("tokenizer.ggml.scores");
  if (scores == nullptr || scores->size() != tokens.size())
    return fail(ErrorCode::kParse, "expected {} scores, got {}", tokens.size(),
                scores == nullptr ? 0 : scores->size())
        .at("tokenizer.ggml.scores");
  SpmTokenizer::Parts parts;
  SpmModel& model = parts.model;
  model.kind = unigram ? SpmModel::Kind::kUnigram : SpmModel::Kind::kBpe;
  model.add_dummy_prefix = keys.flag("tokenizer.ggml.add_space_prefix", true);
  model.remove_extra_whitespaces = keys.flag("tokenizer.ggml.remove_extra_whitespaces", false);
  parts.prefix_first_only = keys.flag(kPrefixFirstOnly, false);
  if (const auto* map = keys.find<std::vector<int64_t>>("tokenizer.ggml.precompiled_charsmap")) {
    model.normalizer_name = "nmt_nfkc";
    for (const int64_t byte : *map) model.precompiled_charsmap.push_back(static_cast<char>(byte));
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    model.pieces.push_back({tokens[i], static_cast<float>((*scores)[i]), types[i]});
    if (types[i] == PieceType::kByte) model.byte_fallback = true;
    if (types[i] == PieceType::kUnknown) model.unk_piece = tokens[i];
  }
  const auto bos = keys.id("tokenizer.ggml.bos_token_id", tokens.size());
  const auto eos = keys.id("tokenizer.ggml.eos_token_id", tokens.size());
  if (bos) model.bos_piece = tokens[static_cast<size_t>(*bos)];
  if (eos) model.eos_piece = tokens[static_cast<size_t>(*eos)];
  parts.add_bos = keys.flag("tokenizer.ggml.add_bos_token", !unigram) && bos.has_value();
  parts.add_eos = keys.flag("tokenizer.ggml.add_eos_token", unigram) && eos.has_value();
  parts.config =
      config_of(keys, unigram ? "T5Tokenizer" : "LlamaTokenizer", tokens, parts.add_bos, parts.add_eos);
  parts.config["legacy"] = !parts.prefix_first_only;
  return std::unique_ptr<Tokenizer>(TRY(SpmTokenizer::build(std::move(parts))));
}

Result<std::vector<MergePair>> merges_of(const Keys& keys, const std::vector<std::string>& tokens) {
  const auto* lines = keys.find<std::vector<std::string>>("tokenizer.ggml.merges");
  if (lines == nullptr)
    return fail(ErrorCode::kParse, "expected an array of strings").at("tokenizer.ggml.merges");
  const StringTable texts = TRY(StringTable::make(tokens));
  StringIndex ids(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) ids.add(texts, static_cast<int32_t>(i));
  std::vector<MergePair> merges;
  merges.reserve(lines->size());
  for (const std::string& line : *lines) {
    const std::string_view text = line;
    const size_t blank = text.find(' ', 1);
    const auto left = ids.find(texts, text.substr(0, std::min(blank, text.size())));
    const auto right =
        blank == std::string_view::npos ? std::nullopt : ids.find(texts, text.substr(blank + 1));
    if (!left || !right)
      return fail(ErrorCode::kParse, "merge {} '{}' does not name two tokens", merges.size(), line)
          .at("tokenizer.ggml.merges");
    merges.push_back({*left, *right});
  }
  return merges;
}

// Tokens that are found in a text before the model sees it.
std::vector<AddedToken> added_tokens(const std::vector<std::string>& tokens,
                                     const std::vector<PieceType>& types) {
  std::vector<AddedToken> added;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool user = types[i] == PieceType::kUserDefined;
    if (tokens[i].empty() || !(user || types[i] == PieceType::kControl || types[i] == PieceType::kUnknown))
      continue;
    added.push_back({static_cast<int32_t>(i), tokens[i], !user, false, false, false, false});
  }
  return added;
}

bool is_bracketed(std::string_view token) { return token.starts_with('[') && token.ends_with(']'); }

Result<std::unique_ptr<Tokenizer>> make_bpe(const Keys& keys) {
  const std::vector<std::string>& tokens = *TRY(tokens_of(keys));
  const std::vector<PieceType> types = TRY(types_of(keys, tokens.size()));
  const auto bos = keys.id("tokenizer.ggml.bos_token_id", tokens.size());
  const auto eos = keys.id("tokenizer.ggml.eos_token_id", tokens.size());
  const std::string pre = keys.text("tokenizer.ggml.pre");
  const bool llama3 = pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3" || pre == "llama3-v1";
  const bool add_bos = keys.flag("tokenizer.ggml.add_bos_token", llama3) && bos;
  const bool add_eos = keys.flag("tokenizer.ggml.add_eos_token", false) && eos;
  const JsonObject config = config_of(keys, "PreTrainedTokenizerFast", tokens, add_bos, add_eos);
  PipelineTokenizer::Parts parts;
  parts.config = config;
  parts.bos = bos;
  parts.eos = eos;
  parts.byte_level = true;
  parts.decoder = TokenDecoder::byte_level();
  if (pre == "qwen2" || pre == "deepseek-r1-qwen") parts.normalizer = TextNormalizer::nfc();
  parts.pre_tokenizer = TRY(PreTokenizer::named(pre, keys.flag("tokenizer.ggml.add_space_prefix", false)));
  const std::vector<int32_t> prefix = add_bos ? std::vector{*bos} : std::vector<int32_t>();
  const std::vector<int32_t> suffix = add_eos ? std::vector{*eos} : std::vector<int32_t>();
  parts.post_processor =
      PostProcessor::around(prefix, suffix, [&](int32_t id) { return tokens[static_cast<size_t>(id)]; });
  parts.tokens = tokens;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (types[i] == PieceType::kUnused) parts.tokens[i].clear();
  BpeModel::Parts bpe;
  bpe.tokens = parts.tokens;
  bpe.merges = TRY(merges_of(keys, tokens));
  bpe.ignore_merges = llama3;
  parts.bpe = std::make_unique<BpeModel>(TRY(BpeModel::build(std::move(bpe))));
  parts.added = added_tokens(tokens, types);
  return std::unique_ptr<Tokenizer>(TRY(PipelineTokenizer::build(std::move(parts))));
}

// WordPiece as llama.cpp writes it: "▁word" begins a word, what goes on has no "##".
Result<std::unique_ptr<Tokenizer>> make_bert(const Keys& keys) {
  std::vector<std::string> tokens = *TRY(tokens_of(keys));
  const std::vector<PieceType> types = TRY(types_of(keys, tokens.size()));
  TokenizerConfig config;
  config.json = config_of(keys, "BertTokenizer", tokens, false, false);
  for (const auto& [name, key] :
       {std::pair{"cls_token", "cls"}, {"sep_token", "seperator"}, {"mask_token", "mask"}})
    if (const auto id = keys.id(std::string("tokenizer.ggml.") + key + "_token_id", tokens.size()))
      config.json[name] = tokens[static_cast<size_t>(*id)];
  for (const char* name : {"add_bos_token", "add_eos_token", "bos_token", "eos_token"})
    config.json.erase(name);
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string& token = tokens[i];
    if (types[i] != PieceType::kNormal || is_bracketed(token)) continue;
    if (token.starts_with(kBlankMark))
      token.erase(0, kBlankMark.size());
    else
      token.insert(0, "##");
  }
  return make_bert_tokenizer(std::move(tokens), config);
}

// Everything as tokenizer.json, where the other keys cannot say it.
Result<std::unique_ptr<Tokenizer>> make_from_json(const Keys& keys, const std::string& text) {
  const std::vector<std::string>& tokens = *TRY(tokens_of(keys));
  TokenizerConfig config;
  config.json = config_of(keys, "PreTrainedTokenizerFast", tokens, false, false);
  for (const char* name : {"add_bos_token", "add_eos_token"}) config.json.erase(name);
  const auto named = [&](const char* key) -> std::optional<std::string> {
    const auto id = keys.id(std::string("tokenizer.ggml.") + key + "_token_id", tokens.size());
    return id ? std::optional(tokens[static_cast<size_t>(*id)]) : std::nullopt;
  };
  config.bos = named("bos");
  config.eos = named("eos");
  Result<Json> json = parse_json(text);
  if (!json) return std::move(json).error().at("tokenizer.huggingface.json");
  return make_pipeline_tokenizer(*json, config);
}

// Fields for writing.
GgufField text_field(std::string key, std::string value) {
  return {std::move(key), GgufField::Type::kString, std::move(value), false};
}
GgufField flag_field(std::string key, bool value) {
  return {std::move(key), GgufField::Type::kBool, value, false};
}
GgufField bytes_field(std::string key, std::string_view value) {
  std::vector<int64_t> bytes;
  for (const char c : value) bytes.push_back(static_cast<unsigned char>(c));
  return {std::move(key), GgufField::Type::kU8, std::move(bytes), true};
}
void push_id(std::vector<GgufField>& fields, const std::string& name, std::optional<int32_t> id) {
  if (!id) return;
  fields.push_back(
      {"tokenizer.ggml." + name + "_token_id", GgufField::Type::kU32, static_cast<uint64_t>(*id), false});
}
void push_tokens(std::vector<GgufField>& fields, std::vector<std::string> tokens,
                 std::vector<int64_t> types) {
  fields.push_back({"tokenizer.ggml.tokens", GgufField::Type::kString, std::move(tokens), true});
  fields.push_back({"tokenizer.ggml.token_type", GgufField::Type::kI32, std::move(types), true});
}

std::optional<int32_t> configured_id(const Tokenizer& tokenizer, const JsonObject& config,
                                     std::string_view key) {
  const Json* value = config.if_contains(key);
  if (value != nullptr && value->is_object()) value = value->get_object().if_contains("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return tokenizer.token_id(std::string_view(value->get_string()));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const GgufFile& file) {
  const Keys keys(file.metadata());
  const std::string model = TRY(file.get_string("tokenizer.ggml.model"));
  const bool known = model == "llama" || model == "t5" || model == "gpt2" || model == "bert";
  if (const std::string text = keys.text("tokenizer.huggingface.json"); known && !text.empty())
    return make_from_json(keys, text);
  if (model == "llama") return make_spm(keys, false);
  if (model == "t5") return make_spm(keys, true);
  if (model == "gpt2") return make_bpe(keys);
  if (model == "bert") return make_bert(keys);
  return fail(ErrorCode::kUnsupported, "vocabulary kind '{}'; known are llama, t5, gpt2 and bert", model)
      .at("tokenizer.ggml.model");
}

std::vector<GgufField> SpmTokenizer::gguf_fields() const {
  const SpmModel& model = parts_.model;
  const bool unigram = model.kind == SpmModel::Kind::kUnigram;
  std::vector<GgufField> fields{text_field("tokenizer.ggml.model", unigram ? "t5" : "llama"),
                                text_field("tokenizer.ggml.pre", "default")};
  std::vector<std::string> tokens;
  std::vector<int64_t> types;
  std::vector<double> scores;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const Token& token = tokens_[id];
    tokens.push_back(token.text.empty() ? "[PAD" + std::to_string(id) + "]" : token.text);
    types.push_back(static_cast<int64_t>(token.text.empty() ? PieceType::kUnused : token.type));
    scores.push_back(id < model.pieces.size() ? static_cast<double>(model.pieces[id].score) : -1000.0);
  }
  push_tokens(fields, std::move(tokens), std::move(types));
  fields.push_back({"tokenizer.ggml.scores", GgufField::Type::kF32, std::move(scores), true});
  push_id(fields, "bos", bos_);
  push_id(fields, "eos", eos_);
  push_id(fields, "unknown", token_id(model.unk_piece));
  push_id(fields, "padding", configured_id(*this, parts_.config, "pad_token"));
  fields.push_back(flag_field("tokenizer.ggml.add_bos_token", parts_.add_bos));
  fields.push_back(flag_field("tokenizer.ggml.add_eos_token", parts_.add_eos));
  fields.push_back(flag_field("tokenizer.ggml.add_space_prefix", model.add_dummy_prefix));
  fields.push_back(flag_field("tokenizer.ggml.remove_extra_whitespaces", model.remove_extra_whitespaces));
  if (!model.precompiled_charsmap.empty())
    fields.push_back(bytes_field("tokenizer.ggml.precompiled_charsmap", model.precompiled_charsmap));
  if (parts_.prefix_first_only) fields.push_back(flag_field(kPrefixFirstOnly, true));
  return fields;
}

bool PipelineTokenizer::gguf_says_all() const {
  for (const AddedToken& token : parts_.added)
    if (token.lstrip || token.rstrip || token.single_word || token.normalized) return false;
  if (parts_.wordpiece) {
    const BertCleaning* cleaning = parts_.normalizer.bert();
    return cleaning != nullptr && cleaning->clean_text && cleaning->handle_chinese_chars &&
           cleaning->strip_accents && cleaning->lowercase && parts_.pre_tokenizer.is_bert() &&
           parts_.wordpiece->prefix() == "##" && parts_.wordpiece->max_characters() == 100 &&
           parts_.post_processor.n_added(false) == 2 && parts_.post_processor.n_added(true) == 3;
  }
  if (!parts_.bpe || !parts_.byte_level) return false;
  const auto pre = parts_.pre_tokenizer.name();
  if (!pre || parts_.unk) return false;
  if (parts_.bpe->ignore_merges() != (*pre == "llama-bpe")) return false;
  if (*pre == "qwen2" ? !parts_.normalizer.is_nfc() : !parts_.normalizer.is_identity()) return false;
  const auto is_only = [](const std::vector<int32_t>& ids, std::optional<int32_t> id) {
    return ids.empty() || (ids.size() == 1 && id && ids[0] == *id);
  };
  return is_only(parts_.post_processor.prefix(), parts_.bos) &&
         is_only(parts_.post_processor.suffix(), parts_.eos);
}

// Tokens and types as llama.cpp has them for the kind of model; with what that kind alone needs.
std::vector<GgufField> PipelineTokenizer::vocabulary_fields() const {
  std::vector<GgufField> fields{
      text_field("tokenizer.ggml.model", parts_.wordpiece ? "bert"
                                         : parts_.unigram ? "t5"
                                                          : "gpt2"),
      text_field("tokenizer.ggml.pre", parts_.pre_tokenizer.name().value_or("default"))};
  std::vector<int64_t> types(texts_.size(), static_cast<int64_t>(PieceType::kNormal));
  std::vector<std::string> tokens;
  for (size_t id = 0; id < texts_.size(); ++id) tokens.emplace_back(texts_[id]);
  if (parts_.unigram && parts_.unk)
    types[static_cast<size_t>(*parts_.unk)] = static_cast<int64_t>(PieceType::kUnknown);
  for (const AddedToken& token : parts_.added)
    if (!parts_.unigram || token.id != *parts_.unk)
      types[static_cast<size_t>(token.id)] =
          static_cast<int64_t>(token.special ? PieceType::kControl : PieceType::kUserDefined);
  for (size_t id = 0; id < tokens.size(); ++id) {
    std::string& token = tokens[id];
    if (token.empty()) {
      token = "[PAD" + std::to_string(id) + "]";
      types[id] = static_cast<int64_t>(PieceType::kUnused);
    } else if (parts_.wordpiece && types[id] == static_cast<int64_t>(PieceType::kNormal) &&
               !is_bracketed(token)) {
      if (token.starts_with("##"))
        token.erase(0, 2);
      else
        token.insert(0, kBlankMark);
    }
  }
  push_tokens(fields, std::move(tokens), std::move(types));
  if (parts_.bpe) {
    std::vector<std::string> merges;
    for (const MergePair& pair : parts_.bpe->merges())
      merges.push_back(fmt::format("{} {}", tokens_[static_cast<size_t>(pair.left)],
                                   tokens_[static_cast<size_t>(pair.right)]));
    fields.push_back({"tokenizer.ggml.merges", GgufField::Type::kString, std::move(merges), true});
  }
  if (parts_.unigram) {
    std::vector<double> scores = parts_.scores;
    scores.resize(texts_.size(), -1000.0);
    fields.push_back({"tokenizer.ggml.scores", GgufField::Type::kF32, std::move(scores), true});
    fields.push_back(flag_field("tokenizer.ggml.add_space_prefix", true));
    fields.push_back(flag_field("tokenizer.ggml.remove_extra_whitespaces", true));
    if (const CharacterMap* map = parts_.normalizer.character_map())
      fields.push_back(bytes_field("tokenizer.ggml.precompiled_charsmap", map->bytes()));
  }
  return fields;
}

std::vector<GgufField> PipelineTokenizer::gguf_fields() const {
  std::vector<GgufField> fields = vocabulary_fields();
  push_id(fields, "bos", parts_.bos);
  push_id(fields, "eos", parts_.eos);
  push_id(fields, "padding", configured_id(*this, parts_.config, "pad_token"));
  push_id(fields, "unknown", configured_id(*this, parts_.config, "unk_token"));
  const std::vector<int32_t> prefix = parts_.post_processor.prefix(), suffix = parts_.post_processor.suffix();
  if (parts_.wordpiece) {
    if (prefix.size() == 1) push_id(fields, "cls", prefix[0]);
    if (suffix.size() == 1) push_id(fields, "seperator", suffix[0]);  // llama.cpp's spelling
    push_id(fields, "mask", configured_id(*this, parts_.config, "mask_token"));
  } else {
    fields.push_back(flag_field("tokenizer.ggml.add_bos_token", !prefix.empty()));
    fields.push_back(flag_field("tokenizer.ggml.add_eos_token", !suffix.empty()));
  }
  if (parts_.pre_tokenizer.adds_prefix_space())
    fields.push_back(flag_field("tokenizer.ggml.add_space_prefix", true));
  if (!gguf_says_all())
    fields.push_back(text_field("tokenizer.huggingface.json", dump_json(tokenizer_json())));
  return fields;
}

}  // namespace volant
