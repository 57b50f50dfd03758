// Vocabularies that come without a tokenizer.json: the vocab.txt of BERT, the vocab.json and merges.txt of
// GPT-2 and Qwen2, and the rank files of tiktoken.
#pragma once
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace volant {
// `tokens` by id. tokenizer_config.json says what BERT's own tokenizer does (do_lower_case, strip_accents,
// tokenize_chinese_chars) and how the special tokens are called.
Result<std::unique_ptr<Tokenizer>> make_bert_tokenizer(std::vector<std::string> tokens,
                                                       const TokenizerConfig& config);
// One token a line.
Result<std::unique_ptr<Tokenizer>> load_vocab_txt(const Path& file, const TokenizerConfig& config);
// Lines of base64 and rank; the name of the file says the pattern and the special tokens: r50k_base,
// p50k_base, cl100k_base, o200k_base. kUnsupported for other names.
Result<std::unique_ptr<Tokenizer>> load_tiktoken(const Path& file, const TokenizerConfig& config);
// vocab.json and merges.txt in `folder`, as the slow tokenizers of GPT-2 and Qwen2 read them. A configuration
// that names no class is GPT-2's own: <|endoftext|> begins and ends a text. kUnsupported for other classes.
Result<std::unique_ptr<Tokenizer>> load_vocab_and_merges(const Path& folder, TokenizerConfig config);
}  // namespace volant
