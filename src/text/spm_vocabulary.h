// SentencePiece vocabularies from a Hugging Face folder:
// tokenizer.model, or a tokenizer.json that was made from one.
#pragma once
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace volant {
// `tokenizer_json` adds its added tokens; null when the folder has none.
Result<std::unique_ptr<Tokenizer>> load_spm_tokenizer(const Path& model, const Json* tokenizer_json,
                                                      const TokenizerConfig& config);
// BPE with byte fallback and "▁" for blanks.
// kUnsupported when its merges are not those of a SentencePiece model.
Result<std::unique_ptr<Tokenizer>> make_spm_tokenizer(const Json& tokenizer_json,
                                                      const TokenizerConfig& config);
}  // namespace volant
