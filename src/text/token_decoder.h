// The `decoder` of a tokenizer.json: tokens back to text. ByteLevel, WordPiece, Metaspace, Replace,
// ByteFallback, Fuse, Strip and sequences of them; any other is refused by name. Without one, tokens stand
// side by side with blanks between them.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/regex.h"

namespace volant {

class TokenDecoder {
 public:
  TokenDecoder() = default;
  static Result<TokenDecoder> parse(const Json& json);
  static TokenDecoder word_piece(const std::string& prefix, bool cleanup);
  static TokenDecoder byte_level();
  Json to_json() const;  // null when there is none
  bool is_byte_level() const;
  // The text of the tokens, in UTF-8 where they are.
  std::string decode(std::vector<std::string> tokens) const;
  // The bytes that a token adds in the middle of a text.
  std::string middle(const std::string& token) const;
  // A text that begins with a token loses the blank that middle() gives it.
  bool drops_first_blank() const;

 private:
  enum class Kind { kByteLevel, kWordPiece, kMetaspace, kReplace, kByteFallback, kFuse, kStrip };
  struct Step {
    Kind kind;
    std::string pattern, content;        // kReplace; kWordPiece: the prefix; kMetaspace: the mark
    std::shared_ptr<const Regex> regex;  // kReplace of a pattern
    bool cleanup = false;                // kWordPiece
    bool prefixed = true;                // kMetaspace: the first mark was put there
    size_t start = 0, stop = 0;          // kStrip
  };
  static Result<Step> parse_step(const std::string& type, const Json& json);
  Status add(const Json& json, int depth);
  static std::string decode_one(const Step& step, std::string token, bool first);
  static std::vector<std::string> join_bytes(std::vector<std::string> tokens);
  std::vector<Step> steps_;
  std::vector<Json> json_;
};

}  // namespace volant
