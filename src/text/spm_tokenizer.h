// SentencePiece vocabularies (BPE and unigram, byte fallback): the ids of SentencePiece's library, several
// times faster; decoding and special tokens follow the Hugging Face tokenizers made from such models.
#pragma once
#include <functional>
#include <optional>
#include <unordered_map>

#include "text/added_tokens.h"
#include "text/spm_model.h"
#include "text/spm_normalizer.h"
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

 protected:
  void locate(std::string_view text, bool parse_special, std::vector<WordToken>& tokens) const override;
  const PostProcessor& post_processor() const override { return post_processor_; }

 private:
  struct Token {
    std::string text;
    PieceType type = PieceType::kUnused;
    bool special = false;
  };
  SpmTokenizer(Parts parts, SpmNormalizer normalizer)
      : parts_(std::move(parts)), normalizer_(std::move(normalizer)) {}
  Status make_model();
  Status index_tokens();
  // Calls segment(text, id, first) for the plain parts (id -1) and the added tokens of a text.
  template <class Segment>
  void each_segment(std::string_view text, bool parse_special, const Segment& segment) const;
  // Calls word(begin, end) for the parts of a normalised text that no merge joins, and piece(begin, end, id)
  // for user-defined pieces.
  template <class OnWord, class OnPiece>
  void each_word(std::string_view text, const OnWord& word, const OnPiece& piece) const;
  bool wants_prefix(bool first) const { return first || !parts_.prefix_first_only; }
  // "▁" as a blank.
  std::string surface(int32_t id) const;

  Parts parts_;
  SpmNormalizer normalizer_;
  std::unique_ptr<WordModel> model_;
  bool cuts_at_blanks_ = false;  // no piece goes on over a blank
  PostProcessor post_processor_;
  AddedTokens added_;
  std::vector<Token> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::optional<int32_t> bos_, eos_;
};

}  // namespace volant
