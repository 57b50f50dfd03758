#include "text/byte_bpe_tokenizer.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/unicode.h"

namespace volant {

Result<std::unique_ptr<ByteBpeTokenizer>> ByteBpeTokenizer::build(Parts parts) {
  std::unique_ptr<ByteBpeTokenizer> made(new ByteBpeTokenizer(std::move(parts)));
  Parts& p = made->parts_;
  made->texts_ = p.tokens;
  for (const AddedToken& token : p.added) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= made->texts_.size()) made->texts_.resize(id + 1);
    made->texts_[id] = token.content;
  }
  made->model_ = TRY(BpeModel::build(p.tokens, std::move(p.merges), p.ignore_merges, p.unk));
  p.merges.clear();
  made->special_.resize(made->texts_.size());
  made->bytes_.resize(made->texts_.size());
  made->ids_.reserve(made->texts_.size());
  for (size_t id = 0; id < made->texts_.size(); ++id) {
    const std::string& text = made->texts_[id];
    made->bytes_[id] = alphabet_to_bytes(text).value_or(text);
    if (!text.empty()) made->ids_.emplace(text, static_cast<int32_t>(id));
  }
  for (const AddedToken& token : p.added) {
    if (token.special) made->special_[static_cast<size_t>(token.id)] = true;
    made->ids_[token.content] = token.id;
  }
  made->added_ = AddedTokens(p.added, [&p](std::string_view text) { return p.normalizer.apply(text); });
  return made;
}

void ByteBpeTokenizer::encode_plain(std::string_view text, bool parse_special,
                                    std::vector<int32_t>& ids) const {
  std::string normalized;
  if (!parts_.normalizer.is_identity()) {
    normalized = parts_.normalizer.apply(text);
    text = normalized;
  }
  std::vector<std::string_view> words;
  std::deque<std::string> storage;
  const auto encode_part = [&](std::string_view part) {
    parts_.pre_tokenizer.split(part, words, storage);
    for (const std::string_view word : words) model_->encode_word(word, ids);
    storage.clear();
  };
  if (!parse_special || !added_.has(AddedTokens::Pass::kNormalized)) return encode_part(text);
  for (const auto& segment : added_.split(text, AddedTokens::Pass::kNormalized)) {
    if (segment.id >= 0)
      ids.push_back(segment.id);
    else
      encode_part(segment.text);
  }
}

std::vector<int32_t> ByteBpeTokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 4);
  if (options.add_special) ids = parts_.prefix;
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = to_valid_utf8(text);
    text = repaired;
  }
  if (!options.parse_special) {
    encode_plain(text, false, ids);
  } else {
    for (const auto& segment : added_.split(text, AddedTokens::Pass::kRaw)) {
      if (segment.id >= 0)
        ids.push_back(segment.id);
      else
        encode_plain(segment.text, true, ids);
    }
  }
  if (options.add_special) ids.insert(ids.end(), parts_.suffix.begin(), parts_.suffix.end());
  return ids;
}

std::string ByteBpeTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= n_vocab() || (skip_special && is_special(id))) continue;
    bytes += bytes_[static_cast<size_t>(id)];
  }
  return to_valid_utf8(bytes);
}

std::string ByteBpeTokenizer::token_bytes(int32_t id) const {
  return id < 0 || id >= n_vocab() || is_special(id) ? "" : bytes_[static_cast<size_t>(id)];
}

std::string ByteBpeTokenizer::token_text(int32_t id) const {
  return id < 0 || id >= n_vocab() ? "" : texts_[static_cast<size_t>(id)];
}

std::optional<int32_t> ByteBpeTokenizer::token_id(std::string_view token_text) const {
  const auto found = ids_.find(std::string(token_text));
  return found == ids_.end() ? std::nullopt : std::optional<int32_t>(found->second);
}

bool ByteBpeTokenizer::is_special(int32_t id) const {
  return id >= 0 && id < n_vocab() && special_[static_cast<size_t>(id)];
}

}  // namespace volant
