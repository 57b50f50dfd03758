// The `normalizer` of a tokenizer.json: what is done to a text before it is cut into words. NFC, NFD, NFKC,
// NFKD, Lowercase, Prepend, Replace (of a fixed text) and sequences of them; any other is refused by name.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace volant {

class TextNormalizer {
 public:
  TextNormalizer() = default;  // changes nothing
  static Result<TextNormalizer> parse(const Json& json);
  static TextNormalizer nfc();
  Json to_json() const;  // null when nothing is done
  bool is_identity() const { return steps_.empty(); }
  bool is_nfc() const { return steps_.size() == 1 && steps_[0].kind == Kind::kNfc; }
  std::string apply(std::string_view utf8) const;

 private:
  enum class Kind { kNfc, kNfd, kNfkc, kNfkd, kLowercase, kPrepend, kReplace };
  struct Step {
    Kind kind;
    std::string pattern, content;
  };
  static Status parse_into(const Json& json, int depth, std::vector<Step>& steps);
  std::vector<Step> steps_;
};

}  // namespace volant
