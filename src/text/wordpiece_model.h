// WordPiece (BERT): a word is the longest token it begins with, then the longest continuation ("##ing"), and
// so on; a word that cannot be put together so is one unknown token.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/byte_trie.h"
#include "text/word_model.h"

namespace volant {

class WordPieceModel : public WordModel {
 public:
  // `tokens` by id ("" where an id has none).
  WordPieceModel(const std::vector<std::string>& tokens, std::string prefix, int32_t unk,
                 size_t max_characters);
  void encode(std::string_view word, std::vector<int32_t>& ids) const override;
  void locate(std::string_view word, std::vector<WordToken>& tokens) const override;
  const std::string& prefix() const { return prefix_; }
  int32_t unk() const { return unk_; }
  size_t max_characters() const { return max_characters_; }

 private:
  template <class Push>
  bool pieces(std::string_view word, const Push& push) const;
  std::string prefix_;
  int32_t unk_;
  size_t max_characters_;
  ByteTrie begins_, continues_;
};

}  // namespace volant
