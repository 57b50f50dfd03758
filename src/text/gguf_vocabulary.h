// The vocabulary inside a GGUF file ("tokenizer.ggml.*"), as llama.cpp's converters write it: "llama"
// (SentencePiece BPE), "t5" (unigram), "gpt2" (byte-level BPE), "bert" (WordPiece). What these keys cannot
// say goes into "tokenizer.huggingface.json".
#pragma once
#include "text/tokenizer.h"

namespace volant {
Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const GgufFile& file);
}  // namespace volant
