// Tokens that are found in the text before the model sees it ("<|im_end|>"),
// as Hugging Face tokenizers does it: leftmost, longest first; first those
// matched in the raw text, then those matched in the normalised text.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace volant {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool lstrip = false, rstrip = false;  // takes the blanks beside it along
  bool single_word = false;             // only where no word character touches it
  bool normalized = false;              // looked for after normalisation
};

// A row of `added_tokens` in tokenizer.json, or a value of `added_tokens_decoder` with its id given.
Result<AddedToken> parse_added_token(const Json& row, std::optional<int32_t> id);
JsonObject to_json(const AddedToken& token);

class AddedTokens {
 public:
  // Part of a text: plain (id -1), or one added token.
  struct Segment {
    std::string_view text;
    int32_t id = -1;
  };
  enum class Pass { kRaw, kNormalized };
  AddedTokens() = default;
  // `normalize` is applied to the contents that are looked for in the normalised text.
  AddedTokens(std::vector<AddedToken> tokens, const std::function<std::string(std::string_view)>& normalize);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  bool has(Pass pass) const { return !tries_[static_cast<size_t>(pass)].nodes.empty(); }
  // Splits `text`. Empty plain parts are left out.
  std::vector<Segment> split(std::string_view text, Pass pass) const;

 private:
  struct Trie {
    struct Node {
      std::vector<std::pair<unsigned char, uint32_t>> next;  // sorted by byte
      int32_t token = -1;                                    // index into tokens_
    };
    std::vector<Node> nodes;
    bool first[256] = {};
    void add(std::string_view key, int32_t token);
    // The longest token at `pos`: its index and length; index -1 for none.
    std::pair<int32_t, size_t> longest(std::string_view text, size_t pos) const;
  };
  std::vector<AddedToken> tokens_;
  Trie tries_[2];
};

}  // namespace volant
