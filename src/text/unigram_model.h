// Unigram (Kudo 2018, "Subword Regularization"): the split of a text into pieces whose log-probabilities sum
// to the most. Ties go to the split found first, as in SentencePiece's encoder.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/word_model.h"

namespace volant {

class UnigramModel : public WordModel {
 public:
  enum class Use : uint8_t {
    kNormal,
    kNever,
    kAlways
  };  // kAlways: a user-defined piece, taken wherever it occurs
  struct Piece {
    std::string text;
    double score = 0;  // natural logarithm
    Use use = Use::kNormal;
  };
  struct Options {
    int32_t unk = 0;
    std::vector<int32_t> byte_ids;  // 256, for characters that are no piece; empty: they are `unk`
    bool fuse_unk = true;           // unknown characters side by side are one token
    bool single_precision = false;  // sums in float, as SentencePiece's library has them
  };
  UnigramModel(const std::vector<Piece>& pieces, Options options);
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  void locate(std::string_view text, std::vector<WordToken>& tokens) const override;

 private:
  template <class Score>
  void best_path(std::string_view text, std::vector<WordToken>& path) const;
  void path_of(std::string_view text, std::vector<WordToken>& path) const;

  ByteTrie trie_;
  std::vector<double> scores_;
  std::vector<Use> uses_;
  double unk_score_ = 0, max_score_ = 0;
  Options options_;
};

}  // namespace volant
