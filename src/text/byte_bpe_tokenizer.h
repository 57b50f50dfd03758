// Byte-level BPE (GPT-2, Qwen2, Llama-3): added tokens, normaliser, pre-tokeniser, merges.
#pragma once
#include <optional>
#include <unordered_map>

#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/pre_tokenizer.h"
#include "text/text_normalizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace volant {

class ByteBpeTokenizer : public Tokenizer {
 public:
  struct Parts {
    std::vector<std::string> tokens;  // by id, in the byte-level alphabet; "" where an id has none
    std::vector<MergePair> merges;
    bool ignore_merges = false;
    std::optional<int32_t> unk;
    std::vector<AddedToken> added;
    TextNormalizer normalizer;
    PreTokenizer pre_tokenizer;
    std::vector<int32_t> prefix, suffix;  // put around a text
    std::optional<int32_t> bos, eos;
    JsonObject config;  // tokenizer_config.json
  };
  static Result<std::unique_ptr<ByteBpeTokenizer>> build(Parts parts);

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string token_bytes(int32_t id) const override;
  std::string token_text(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view token_text) const override;
  int32_t n_vocab() const override { return static_cast<int32_t>(texts_.size()); }
  bool is_special(int32_t id) const override;
  std::optional<int32_t> bos_id() const override { return parts_.bos; }
  std::optional<int32_t> eos_id() const override { return parts_.eos; }
  std::string algorithm() const override { return "byte-level bpe"; }
  std::vector<GgufField> gguf_fields() const override;
  Status save(const Path& folder) const override;

  // The tokenizer.json that says all of this.
  Json tokenizer_json() const;

 private:
  explicit ByteBpeTokenizer(Parts parts) : parts_(std::move(parts)) {}
  void encode_plain(std::string_view text, bool parse_special, std::vector<int32_t>& ids) const;
  bool gguf_says_all() const;

  Parts parts_;
  std::optional<BpeModel> model_;
  AddedTokens added_;
  std::vector<std::string> texts_;  // by id, added tokens too
  std::vector<std::string> bytes_;  // by id, what it decodes to
  std::vector<bool> special_;
  std::unordered_map<std::string, int32_t> ids_;
};

// From the parsed tokenizer.json of a folder. kUnsupported names what is not done here.
Result<std::unique_ptr<Tokenizer>> make_byte_bpe_tokenizer(const Json& tokenizer_json,
                                                           const TokenizerConfig& config);

}  // namespace volant
