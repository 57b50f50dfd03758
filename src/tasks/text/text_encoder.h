// Texts and pairs of texts to token ids: a tokenizer with its special tokens and token types, cut to
// max_length. With `segment` a blank is put between words first (ICU's dictionary finds them in Chinese,
// Japanese, Thai): the saved tokenizer knows nothing of it, other programs must do the same.
#pragma once
#include "tasks/task.h"
#include "text/tokenizer.h"

namespace volant {

// Whether a token goes on with the word of the one before it: "##ing".
bool continues_word(const Tokenizer& tokenizer, int32_t id);

struct TextOptions {
  int64_t max_length = 128;  // tokens, special ones included
  bool segment = false;      // by ICU
  bool pairs = false;        // what a form should ask for
};

class TextEncoder : public InputEncoder {
 public:
  // kInvalidArgument when a text of nothing does not fit.
  static Result<std::unique_ptr<TextEncoder>> make(std::unique_ptr<Tokenizer> tokenizer,
                                                   const TextOptions& options);
  static Result<std::unique_ptr<TextEncoder>> load(const Path& folder);
  static Result<TextOptions> options_from_json(const Json& json);

  Result<EncodedInput> encode(const Json& input) const override;
  int64_t n_features() const override { return 0; }
  int64_t n_vocab() const override { return tokenizer_->n_vocab(); }
  std::vector<int64_t> shape() const override { return {options_.max_length}; }
  std::string origin(const Json& input, int64_t i) const override;         // what of the text it stands for
  Result<std::vector<InputPart>> parts(const Json& input) const override;  // words
  Json schema() const override;
  // Also vocab.txt of a WordPiece vocabulary.
  Status save(const Path& folder) const override;
  Json to_json() const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TextOptions& options() const { return options_; }
  // What the tokenizer is given for a text.
  std::string prepared(std::string_view text) const;

 private:
  TextEncoder(std::unique_ptr<Tokenizer> tokenizer, const TextOptions& options)
      : tokenizer_(std::move(tokenizer)), options_(options) {}
  Result<Encoding> encode_whole(const Json& input) const;
  std::unique_ptr<Tokenizer> tokenizer_;
  TextOptions options_;
};

}  // namespace volant
