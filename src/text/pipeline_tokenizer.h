// The tokenizer of a tokenizer.json: added tokens, normaliser, pre-tokeniser, model, post-processor, decoder.
#pragma once
#include <memory>
#include <optional>

#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/pre_tokenizer.h"
#include "text/string_table.h"
#include "text/text_normalizer.h"
#include "text/token_decoder.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/unigram_model.h"
#include "text/wordpiece_model.h"

namespace volant {

class PipelineTokenizer : public Tokenizer {
 public:
  struct Parts {
    std::vector<std::string> tokens;  // by id, as in the vocabulary; "" where an id has none
    // One of these.
    std::unique_ptr<BpeModel> bpe;
    std::unique_ptr<WordPieceModel> wordpiece;
    std::unique_ptr<UnigramModel> unigram;
    bool byte_level = false;     // bpe: of bytes
    std::vector<double> scores;  // unigram, by id
    bool byte_fallback = false;  // unigram
    std::optional<int32_t> unk;
    std::vector<AddedToken> added;
    TextNormalizer normalizer;
    PreTokenizer pre_tokenizer;
    PostProcessor post_processor;
    TokenDecoder decoder;
    std::optional<Truncation> truncation;
    std::optional<Padding> padding;
    std::optional<int32_t> bos, eos;
    JsonObject config;  // tokenizer_config.json
  };
  // kLimit, kParse when an added token or a token put around a text is not one.
  static Result<std::unique_ptr<PipelineTokenizer>> build(Parts parts);

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string token_bytes(int32_t id) const override;
  std::string token_text(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view token_text) const override;
  int32_t n_vocab() const override { return static_cast<int32_t>(texts_.size()); }
  bool is_special(int32_t id) const override;
  std::optional<int32_t> bos_id() const override { return parts_.bos; }
  std::optional<int32_t> eos_id() const override { return parts_.eos; }
  bool drops_first_blank() const override { return parts_.decoder.drops_first_blank(); }
  std::string algorithm() const override;
  std::optional<Truncation> truncation() const override { return parts_.truncation; }
  std::optional<Padding> padding() const override { return parts_.padding; }
  std::vector<GgufField> gguf_fields() const override;
  Status save(const Path& folder) const override;

  // The tokenizer.json that says all of this.
  Json tokenizer_json() const;

 protected:
  void locate(std::string_view text, bool parse_special, std::vector<WordToken>& tokens) const override;
  const PostProcessor& post_processor() const override { return parts_.post_processor; }

 private:
  explicit PipelineTokenizer(Parts parts) : parts_(std::move(parts)) {}
  const WordModel& model() const;
  void encode_plain(std::string_view text, bool parse_special, bool at_start,
                    std::vector<int32_t>& ids) const;
  void encode_normalized(std::string_view text, bool at_start, std::vector<int32_t>& ids) const;
  void locate_plain(std::string_view text, uint32_t origin, bool parse_special,
                    std::vector<WordToken>& tokens) const;
  bool gguf_says_all() const;
  std::vector<GgufField> vocabulary_fields() const;

  Parts parts_;  // without its tokens
  AddedTokens added_;
  StringTable tokens_;  // by id, as in the vocabulary: what parts_ had
  StringTable texts_;   // by id, added tokens too
  StringTable bytes_;   // by id, what it adds in the middle of a text
  std::vector<bool> special_;
  StringIndex ids_;  // of texts_
};

// From the parsed tokenizer.json of a folder. kUnsupported names what is not done here.
Result<std::unique_ptr<Tokenizer>> make_pipeline_tokenizer(const Json& tokenizer_json,
                                                           const TokenizerConfig& config);

}  // namespace volant
