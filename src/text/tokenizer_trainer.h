// Learns a vocabulary from texts with SentencePiece: BPE or unigram, with a token for every byte, so that any
// text encodes and decodes exactly. The same texts and options give the same vocabulary.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/file.h"

namespace volant {

struct TokenizerTrainOptions {
  std::string algorithm = "bpe";       // or "unigram"
  int vocab_size = 8192;               // 400 to 262144; fewer come out when the texts do not give as many
  double character_coverage = 0.9995;  // share of characters that get tokens of their own; the rest is bytes
  uint64_t max_bytes = 64ULL << 20;    // of text that is read
  uint64_t seed = 1;                   // which texts are read when there are more
};

// The next text, or nothing at the end.
using NextText = std::function<Result<std::optional<std::string>>()>;

struct TokenizerTrainResult {
  int n_vocab = 0;
  uint64_t n_texts = 0, n_bytes = 0;  // that were learned from
};

// Writes tokenizer.model and tokenizer_config.json (with default_chat_template()) into `folder`. Control
// tokens are <unk> 0, <s> 1, </s> 2, <pad> 3, <|system|>, <|user|>, <|assistant|>, <|end|>. kInvalidArgument
// for options out of range or too little text.
Result<TokenizerTrainResult> train_tokenizer(const NextText& next_text, const TokenizerTrainOptions& options,
                                             const Path& folder);
Result<TokenizerTrainResult> train_tokenizer(const std::vector<std::string>& texts,
                                             const TokenizerTrainOptions& options, const Path& folder);

}  // namespace volant
