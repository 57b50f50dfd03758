#include "text/spm_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581
constexpr int32_t kMaxAddedId = 4'000'000;

}  // namespace

struct SpmTokenizer::Library {
  sentencepiece::SentencePieceProcessor processor;
};

SpmTokenizer::SpmTokenizer(Parts parts) : parts_(std::move(parts)), library_(std::make_unique<Library>()) {}
SpmTokenizer::~SpmTokenizer() = default;

Result<std::unique_ptr<SpmTokenizer>> SpmTokenizer::build(Parts parts) {
  if (Status status = check_spm_model(parts.model); !status) return std::move(status).error();
  std::unique_ptr<SpmTokenizer> made(new SpmTokenizer(std::move(parts)));
  Parts& p = made->parts_;
  SpmModel given = p.model;
  made->own_prefix_ =
      given.add_dummy_prefix && !given.remove_extra_whitespaces && !given.treat_whitespace_as_suffix;
  if (p.prefix_first_only && given.add_dummy_prefix && !made->own_prefix_)
    return fail(ErrorCode::kUnsupported, "legacy=false with a model that removes extra blanks");
  if (made->own_prefix_) given.add_dummy_prefix = false;
  try {
    const auto status = made->library_->processor.LoadFromSerializedProto(serialize_spm_model(given));
    if (!status.ok())
      return fail(ErrorCode::kParse, "SentencePiece cannot use the model: {}", status.ToString());
  } catch (const std::exception& error) {
    return fail(ErrorCode::kParse, "SentencePiece cannot use the model: {}", error.what());
  }

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
    made->tokens_.push_back({piece.text, piece.type, special});
    if (special && !declared.contains(piece.text))
      controls.push_back({static_cast<int32_t>(id), piece.text, true, false, false, false, false});
  }
  std::vector<AddedToken> all = p.added;
  for (const AddedToken& token : p.added) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= made->tokens_.size()) made->tokens_.resize(id + 1);
    Token& slot = made->tokens_[id];
    if (!slot.text.empty() && slot.text != token.content)
      return fail(ErrorCode::kParse, "added token '{}' has id {}, which is '{}' in the model", token.content,
                  id, slot.text);
    if (slot.text.empty())
      slot = {token.content, token.special ? PieceType::kControl : PieceType::kUserDefined, false};
    slot.special = slot.special || token.special;
  }
  all.insert(all.end(), controls.begin(), controls.end());
  made->added_ = AddedTokens(std::move(all), [](std::string_view text) { return std::string(text); });
  for (size_t id = 0; id < made->tokens_.size(); ++id)
    if (!made->tokens_[id].text.empty()) made->ids_.emplace(made->tokens_[id].text, static_cast<int32_t>(id));
  made->bos_ = made->token_id(p.bos.value_or(p.model.bos_piece));
  made->eos_ = made->token_id(p.eos.value_or(p.model.eos_piece));
  if (p.add_bos && !made->bos_) p.add_bos = false;
  if (p.add_eos && !made->eos_) p.add_eos = false;
  return made;
}

void SpmTokenizer::encode_plain(std::string_view text, bool first, std::vector<int32_t>& ids) const {
  std::string prefixed;
  if (own_prefix_ && (first || !parts_.prefix_first_only)) {
    prefixed.reserve(text.size() + 1);
    prefixed = ' ';
    prefixed += text;
    text = prefixed;
  }
  std::vector<int> got;
  if (!library_->processor.Encode(absl::string_view(text.data(), text.size()), &got).ok()) return;
  ids.insert(ids.end(), got.begin(), got.end());
}

std::vector<int32_t> SpmTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> ids;
  if (options.add_special && parts_.add_bos) ids.push_back(*bos_);
  const std::string valid = to_valid_utf8(text);
  if (options.parse_special) {
    bool first = true;
    for (const auto& outer : added_.split(valid, AddedTokens::Pass::kRaw)) {
      for (const auto& segment :
           outer.id >= 0 ? std::vector{outer} : added_.split(outer.text, AddedTokens::Pass::kNormalized)) {
        if (segment.id >= 0)
          ids.push_back(segment.id);
        else
          encode_plain(segment.text, first, ids);
        first = false;
      }
    }
  } else if (!valid.empty()) {
    encode_plain(valid, true, ids);
  }
  if (options.add_special && parts_.add_eos) ids.push_back(*eos_);
  return ids;
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
