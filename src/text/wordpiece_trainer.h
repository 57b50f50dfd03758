// Learns a WordPiece vocabulary as BERT has one: characters, then the pairs of neighbouring pieces that occur
// most often in words are joined, one after the other (as byte pair encoding; Sennrich et al. 2016). The same
// texts and options give the same vocabulary.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace volant {

struct WordPieceTrainOptions {
  int64_t vocab_size = 8000;  // 100 to 262144; fewer come out when the texts do not give as many
  int64_t min_count = 2;      // occurrences of a character or a pair that is learned
  bool lowercase = true;      // and accents are stripped
  bool split_han = true;      // every Han character is a word; false: texts come with blanks between words
};

// A tokenizer that Transformers loads as BertTokenizer: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, then
// what was learned. kInvalidArgument for options out of range.
Result<std::unique_ptr<Tokenizer>> train_wordpiece(std::span<const std::string> texts,
                                                   const WordPieceTrainOptions& options);

// The learned part of it, from words and how often they occur: at most `n_tokens` pieces, characters first.
std::vector<std::string> learn_word_pieces(const std::map<std::string, int64_t>& words, int64_t n_tokens,
                                           int64_t min_count);

}  // namespace volant
