// SentencePiece vocabularies (BPE and unigram, byte fallback). The library encodes; decoding and special
// tokens follow the Hugging Face tokenizers made from such models.
#pragma once
#include <functional>
#include <optional>
#include <unordered_map>

#include "text/added_tokens.h"
#include "text/spm_model.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace volant {

class SpmTokenizer : public Tokenizer {
 public:
  struct Parts {
    SpmModel model;
    std::string bytes;              // of the model file; empty: made from `model`
    std::vector<AddedToken> added;  // control pieces are added to it
    bool add_bos = true, add_eos = false;
    bool prefix_first_only =
        false;  // the blank in front goes before the text's first word only, not after specials
    std::optional<std::string> bos, eos;  // otherwise the model's own
    JsonObject config;
  };
  static Result<std::unique_ptr<SpmTokenizer>> build(Parts parts);
  ~SpmTokenizer() override;

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string token_bytes(int32_t id) const override;
  std::string token_text(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view token_text) const override;
  int32_t n_vocab() const override { return static_cast<int32_t>(tokens_.size()); }
  bool is_special(int32_t id) const override;
  std::optional<int32_t> bos_id() const override { return bos_; }
  std::optional<int32_t> eos_id() const override { return eos_; }
  bool drops_first_blank() const override { return parts_.model.add_dummy_prefix; }
  std::string algorithm() const override {
    return parts_.model.kind == SpmModel::Kind::kUnigram ? "unigram" : "bpe";
  }
  std::vector<GgufField> gguf_fields() const override;
  Status save(const Path& folder) const override;

 private:
  struct Library;
  struct Token {
    std::string text;
    PieceType type = PieceType::kUnused;
    bool special = false;
  };
  explicit SpmTokenizer(Parts parts);
  void encode_plain(std::string_view text, bool first, std::vector<int32_t>& ids) const;
  // "▁" as a blank.
  std::string surface(int32_t id) const;

  Parts parts_;
  std::unique_ptr<Library> library_;
  bool own_prefix_ = false;  // the blank in front is put here, not by the library
  AddedTokens added_;
  std::vector<Token> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::optional<int32_t> bos_, eos_;
};

}  // namespace volant
