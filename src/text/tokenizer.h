// Tokenizer: text to ids and back, exactly as the library that made the vocabulary does it.
// Kinds: what a `tokenizer.json` can hold (byte-level BPE, WordPiece, unigram, BPE with byte fallback),
// SentencePiece models (`tokenizer.model`), a bare `vocab.txt` (WordPiece), `vocab.json` with
// `merges.txt` (byte-level BPE), `.tiktoken` files, and the vocabulary inside a GGUF file.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "io/file.h"
#include "io/gguf.h"
#include "text/encoding.h"
#include "text/post_processor.h"
#include "text/word_model.h"

namespace volant {

struct EncodeOptions {
  bool add_special = true;  // what the vocabulary puts around a text (bos, eos), if anything
  // "<|im_end|>" in the text is that token, and so with every added token;
  // false: plain text (what users wrote)
  bool parse_special = true;
};

struct EncodingOptions {
  bool add_special = true, parse_special = true;  // as in EncodeOptions
  std::optional<Truncation> truncation;  // what the tokenizer's file says is truncation(); not applied
  std::optional<Padding> padding;        // unless it is given here. As padding().
};

// A text, or two that a model looks at together.
struct TextPair {
  std::string_view text;
  std::optional<std::string_view> pair;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const = 0;
  // Ids with offsets, token types and masks. Offsets are code points of `text` (and of `pair`); where a text
  // is no UTF-8, those of to_valid_utf8(). kLimit for a text above 1 GiB; kInvalidArgument when it cannot be
  // cut as asked.
  Result<Encoding> encode_with_offsets(const TextPair& text, const EncodingOptions& options = {}) const;
  // All of them at once, padded to one length where options.padding has none of its own.
  Result<std::vector<Encoding>> encode_batch(std::span<const TextPair> texts,
                                             const EncodingOptions& options = {}) const;
  // What the tokenizer's file asks for.
  virtual std::optional<Truncation> truncation() const { return std::nullopt; }
  virtual std::optional<Padding> padding() const { return std::nullopt; }
  // Text of ids, as the original library decodes them; ids out of range are passed over.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special = true) const = 0;
  // The bytes that `id` adds in the middle of a text;
  // may be part of a UTF-8 character; empty for a special token.
  virtual std::string token_bytes(int32_t id) const = 0;
  virtual std::string token_text(int32_t id) const = 0;  // as in the vocabulary: "▁the"
  virtual std::optional<int32_t> token_id(std::string_view token_text) const = 0;
  virtual int32_t n_vocab() const = 0;
  virtual bool is_special(int32_t id) const = 0;
  virtual std::optional<int32_t> bos_id() const = 0;
  virtual std::optional<int32_t> eos_id() const = 0;
  // True when decode() leaves out a blank that begins a text (SentencePiece puts one there when it encodes).
  virtual bool drops_first_blank() const { return false; }
  // "byte-level bpe", "bpe", "unigram", "wordpiece".
  virtual std::string algorithm() const { return "unknown"; }
  // The vocabulary as GGUF metadata ("tokenizer.ggml.*"), for export.
  virtual std::vector<GgufField> gguf_fields() const = 0;
  // Writes the tokenizer files of a Hugging Face folder (tokenizer.model or tokenizer.json,
  // tokenizer_config.json).
  virtual Status save(const Path& folder) const = 0;

 protected:
  // The tokens of a text (valid UTF-8), nothing put around: id and bytes [begin, end) of the text.
  virtual void locate(std::string_view text, bool parse_special, std::vector<WordToken>& tokens) const = 0;
  virtual const PostProcessor& post_processor() const = 0;

 private:
  Encoding encode_one(std::string_view text, bool parse_special, uint8_t which) const;
};

// From a Hugging Face folder: tokenizer.json, tokenizer.model (or spiece.model), vocab.txt, vocab.json
// with merges.txt, or one .tiktoken file, in this order (a tokenizer.model before a tokenizer.json made from
// it), with tokenizer_config.json.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const Path& folder);
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const GgufFile& file);
// From whatever `path` is: such a folder, a `.gguf` or `.tiktoken` file,
// or a folder that holds one `.gguf` file and no tokenizer.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const Path& path);

// Bytes of a growing answer as text that never ends inside a UTF-8 character.
class StreamDecoder {
 public:
  // `starts_text`: the ids are a text of their own (as decode() reads them); false: they go on after a
  // prompt, and a blank at their beginning belongs to them.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool starts_text = true)
      : tokenizer_(tokenizer), first_(starts_text && tokenizer.drops_first_blank()) {}
  // What can be shown after `id`; may be empty while a character is incomplete.
  std::string push(int32_t id);
  // What is left at the end; an incomplete character comes out as U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;
  bool first_;  // a SentencePiece vocabulary drops the blank before the first word of a text
};

}  // namespace volant
