#include "text/spm_tokenizer.h"

#include <algorithm>

#include "text/spm_word_model.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581
constexpr int32_t kMaxAddedId = 4'000'000;

}  // namespace

Result<std::unique_ptr<SpmTokenizer>> SpmTokenizer::build(Parts parts) {
  if (Status status = check_spm_model(parts.model); !status) return std::move(status).error();
  SpmNormalizer normalizer = TRY(SpmNormalizer::make(parts.model));
  std::unique_ptr<SpmTokenizer> made(new SpmTokenizer(std::move(parts), std::move(normalizer)));
  if (Status status = made->make_model(); !status) return std::move(status).error();
  if (Status status = made->index_tokens(); !status) return std::move(status).error();
  return made;
}

Status SpmTokenizer::make_model() {
  const SpmModel& model = parts_.model;
  switch (model.kind) {
    case SpmModel::Kind::kUnigram:
      model_ = make_spm_unigram(model);
      return {};
    case SpmModel::Kind::kBpe:
    case SpmModel::Kind::kChar:
      model_ = TRY(make_spm_bpe(model));
      cuts_at_blanks_ = blanks_begin_words(model);
      return {};
    case SpmModel::Kind::kWord:
      break;
  }
  return fail(ErrorCode::kUnsupported, "a SentencePiece model of type 'word'");
}

Status SpmTokenizer::index_tokens() {
  Parts& p = parts_;
  std::unordered_map<std::string_view, size_t> declared;
  for (size_t i = 0; i < p.added.size(); ++i) {
    if (p.added[i].id >= kMaxAddedId)
      return fail(ErrorCode::kLimit, "added token '{}' has id {}, expected less than {}", p.added[i].content,
                  p.added[i].id, kMaxAddedId);
    declared.emplace(p.added[i].content, i);
  }
  std::vector<AddedToken> controls;
  for (size_t id = 0; id < p.model.pieces.size(); ++id) {
    const SpmPiece& piece = p.model.pieces[id];
    const bool special = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown;
    tokens_.push_back({piece.text, piece.type, special});
    if (special && !declared.contains(piece.text))
      controls.push_back({static_cast<int32_t>(id), piece.text, true, false, false, false, false});
  }
  std::vector<AddedToken> all = p.added;
  for (const AddedToken& token : p.added) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= tokens_.size()) tokens_.resize(id + 1);
    Token& slot = tokens_[id];
    if (!slot.text.empty() && slot.text != token.content)
      return fail(ErrorCode::kParse, "added token '{}' has id {}, which is '{}' in the model", token.content,
                  id, slot.text);
    if (slot.text.empty())
      slot = {token.content, token.special ? PieceType::kControl : PieceType::kUserDefined, false};
    slot.special = slot.special || token.special;
  }
  all.insert(all.end(), controls.begin(), controls.end());
  added_ = AddedTokens(std::move(all), [](std::string_view text) { return std::string(text); });
  for (size_t id = 0; id < tokens_.size(); ++id)
    if (!tokens_[id].text.empty()) ids_.emplace(tokens_[id].text, static_cast<int32_t>(id));
  bos_ = token_id(p.bos.value_or(p.model.bos_piece));
  eos_ = token_id(p.eos.value_or(p.model.eos_piece));
  if (p.add_bos && !bos_) p.add_bos = false;
  if (p.add_eos && !eos_) p.add_eos = false;
  std::vector<int32_t> prefix, suffix;
  if (p.add_bos) prefix.push_back(*bos_);
  if (p.add_eos) suffix.push_back(*eos_);
  post_processor_ = PostProcessor::around(prefix, suffix, [this](int32_t id) { return token_text(id); });
  return {};
}

template <class OnWord, class OnPiece>
void SpmTokenizer::each_word(std::string_view text, const OnWord& word, const OnPiece& piece) const {
  const bool unigram = parts_.model.kind == SpmModel::Kind::kUnigram;
  if (unigram || (!cuts_at_blanks_ && !normalizer_.has_user_defined())) {
    if (!text.empty()) word(0, text.size());
    return;
  }
  size_t begin = 0;
  const auto end_word = [&](size_t end) {
    if (end > begin) word(begin, end);
    begin = end;
  };
  bool in_blanks = true;
  for (size_t pos = 0; pos < text.size();) {
    if (const auto [n, id] = normalizer_.user_defined(text.substr(pos)); n > 0) {
      end_word(pos);
      piece(pos, pos + n, id);
      begin = pos += n;
      in_blanks = true;
      continue;
    }
    const bool blank = text[pos] == kBlankMark[0] && text.substr(pos).starts_with(kBlankMark);
    if (blank && !in_blanks && cuts_at_blanks_) end_word(pos);
    in_blanks = blank;
    ++pos;
    while (pos < text.size() && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80) ++pos;
  }
  end_word(text.size());
}

template <class Segment>
void SpmTokenizer::each_segment(std::string_view text, bool parse_special, const Segment& segment) const {
  if (!parse_special) {
    if (!text.empty()) segment(text, -1, true);
    return;
  }
  bool first = true;
  for (const auto& outer : added_.split(text, AddedTokens::Pass::kRaw)) {
    if (outer.id >= 0) {
      segment(outer.text, outer.id, first);
      first = false;
      continue;
    }
    for (const auto& inner : added_.split(outer.text, AddedTokens::Pass::kNormalized)) {
      segment(inner.text, inner.id, first);
      first = false;
    }
  }
}

std::vector<int32_t> SpmTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 4);
  if (options.add_special && parts_.add_bos) ids.push_back(*bos_);
  const std::string valid = to_valid_utf8(text);
  each_segment(valid, options.parse_special, [&](std::string_view part, int32_t id, bool first) {
    if (id >= 0) return ids.push_back(id);
    const AlignedText normalized = normalizer_.apply(AlignedText::of(part, false), wants_prefix(first));
    const std::string_view all = normalized.text;
    each_word(
        all, [&](size_t begin, size_t end) { model_->encode(all.substr(begin, end - begin), ids); },
        [&](size_t, size_t, int32_t piece) { ids.push_back(piece); });
  });
  if (options.add_special && parts_.add_eos) ids.push_back(*eos_);
  return ids;
}

void SpmTokenizer::locate(std::string_view text, bool parse_special, std::vector<WordToken>& tokens) const {
  std::vector<WordToken> pieces;
  each_segment(text, parse_special, [&](std::string_view part, int32_t id, bool first) {
    const auto origin = static_cast<size_t>(part.data() - text.data());
    if (id >= 0) {
      tokens.push_back({id, origin, origin + part.size(), true});
      return;
    }
    const AlignedText normalized =
        normalizer_.apply(AlignedText::of(part, true, static_cast<uint32_t>(origin)), wants_prefix(first));
    const auto push = [&](int32_t token, size_t begin, size_t end) {
      if (end > begin) tokens.push_back({token, normalized.at(begin).begin, normalized.at(end - 1).end});
    };
    each_word(
        normalized.text,
        [&](size_t begin, size_t end) {
          pieces.clear();
          model_->locate(std::string_view(normalized.text).substr(begin, end - begin), pieces);
          for (const WordToken& piece : pieces) push(piece.id, begin + piece.begin, begin + piece.end);
        },
        [&](size_t begin, size_t end, int32_t piece) { push(piece, begin, end); });
  });
}

std::string SpmTokenizer::surface(int32_t id) const {
  const std::string& text = tokens_[static_cast<size_t>(id)].text;
  std::string out;
  size_t pos = 0;
  for (size_t found; (found = text.find(kBlankMark, pos)) != std::string::npos;
       pos = found + kBlankMark.size()) {
    out.append(text, pos, found - pos);
    out.push_back(' ');
  }
  out.append(text, pos);
  return out;
}

std::string SpmTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string out, run;  // run: bytes of byte tokens side by side
  const auto end_run = [&] {
    if (is_valid_utf8(run)) {
      out += run;
    } else {
      for (size_t i = 0; i < run.size(); ++i) out += "\xEF\xBF\xBD";
    }
    run.clear();
  };
  for (const int32_t id : ids) {
    if (id < 0 || id >= n_vocab() || (skip_special && is_special(id))) continue;
    const Token& token = tokens_[static_cast<size_t>(id)];
    if (token.type == PieceType::kByte) {
      run.push_back(static_cast<char>(byte_piece_value(token.text)));
      continue;
    }
    end_run();
    out += surface(id);
  }
  end_run();
  if (drops_first_blank() && out.starts_with(' ')) out.erase(0, 1);
  return out;
}

std::string SpmTokenizer::token_bytes(int32_t id) const {
  if (id < 0 || id >= n_vocab() || is_special(id)) return "";
  const Token& token = tokens_[static_cast<size_t>(id)];
  if (token.type == PieceType::kByte) return std::string(1, static_cast<char>(byte_piece_value(token.text)));
  return surface(id);
}

std::string SpmTokenizer::token_text(int32_t id) const {
  return id < 0 || id >= n_vocab() ? "" : tokens_[static_cast<size_t>(id)].text;
}

std::optional<int32_t> SpmTokenizer::token_id(std::string_view token_text) const {
  const auto found = ids_.find(std::string(token_text));
  return found == ids_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

bool SpmTokenizer::is_special(int32_t id) const {
  return id >= 0 && id < n_vocab() && tokens_[static_cast<size_t>(id)].special;
}

Status SpmTokenizer::save(const Path& folder) const {
  if (Status status = make_dirs(folder); !status) return status;
  const std::string bytes = parts_.bytes.empty() ? serialize_spm_model(parts_.model) : parts_.bytes;
  if (Status status = write_file_atomic(folder / "tokenizer.model", bytes); !status) return status;
  JsonObject config = parts_.config;
  JsonObject decoder;
  for (const AddedToken& token : added_.tokens()) {
    JsonObject row = to_json(token);
    row.erase("id");
    decoder[std::to_string(token.id)] = row;
  }
  config["added_tokens_decoder"] = decoder;
  return write_file_atomic(folder / "tokenizer_config.json", dump_json_pretty(config));
}

}  // namespace volant
