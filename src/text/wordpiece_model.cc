#include "text/wordpiece_model.h"

#include "text/unicode.h"

namespace volant {

WordPieceModel::WordPieceModel(const std::vector<std::string>& tokens, std::string prefix, int32_t unk,
                               size_t max_characters)
    : prefix_(std::move(prefix)), unk_(unk), max_characters_(max_characters) {
  std::vector<std::pair<std::string_view, int32_t>> begins, continues;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    if (token.empty()) continue;
    begins.emplace_back(token, static_cast<int32_t>(id));
    if (token.starts_with(prefix_) && token.size() > prefix_.size())
      continues.emplace_back(token.substr(prefix_.size()), static_cast<int32_t>(id));
  }
  begins_ = ByteTrie(std::move(begins));
  continues_ = ByteTrie(std::move(continues));
}

// Calls push(id, begin, end) for each piece; false when the word cannot be put together.
template <class Push>
bool WordPieceModel::pieces(std::string_view word, const Push& push) const {
  if (count_code_points(word) > max_characters_) return false;
  for (size_t pos = 0; pos < word.size();) {
    const auto found = (pos == 0 ? begins_ : continues_).longest(word.substr(pos));
    if (!found) return false;
    push(found->value, pos, pos + found->n_bytes);
    pos += found->n_bytes;
  }
  return true;
}

void WordPieceModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  if (pieces(word, [&ids](int32_t id, size_t, size_t) { ids.push_back(id); })) return;
  ids.resize(before);
  ids.push_back(unk_);
}

void WordPieceModel::locate(std::string_view word, std::vector<WordToken>& tokens) const {
  const size_t before = tokens.size();
  if (pieces(word, [&](int32_t id, size_t begin, size_t end) { tokens.push_back({id, begin, end}); })) return;
  tokens.resize(before);
  tokens.push_back({unk_, 0, word.size()});
}

}  // namespace volant
