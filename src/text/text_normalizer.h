// The `normalizer` of a tokenizer.json: what is done to a text before it is cut into words. NFC, NFD, NFKC,
// NFKD, Lowercase, Prepend, Replace, Strip, StripAccents, Nmt, Precompiled (a SentencePiece character map),
// BertNormalizer and sequences of them; any other is refused by name.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/aligned_text.h"
#include "text/character_map.h"
#include "text/regex.h"

namespace volant {

// What BertNormalizer does; all four are on in uncased models.
struct BertCleaning {
  bool clean_text = true;            // no control characters, every blank is ' '
  bool handle_chinese_chars = true;  // a blank on both sides of every Han character
  bool strip_accents = true, lowercase = true;
};

class TextNormalizer {
 public:
  TextNormalizer() = default;  // changes nothing
  static Result<TextNormalizer> parse(const Json& json);
  static TextNormalizer nfc();
  Json to_json() const;  // null when nothing is done
  bool is_identity() const { return steps_.empty(); }
  bool is_nfc() const { return steps_.size() == 1 && steps_[0].kind == Kind::kNfc; }
  // The flags when this is BertNormalizer alone.
  const BertCleaning* bert() const;
  // The first character map among the steps; nullptr when there is none.
  const CharacterMap* character_map() const;
  std::string apply(std::string_view utf8) const;
  AlignedText apply(AlignedText text) const;

 private:
  enum class Kind {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,
    kPrepend,
    kReplace,
    kStrip,
    kStripAccents,
    kNmt,
    kPrecompiled,
    kBert
  };
  struct Step {
    Kind kind;
    Json json;  // as it was given
    std::string pattern, content;
    bool left = true, right = true;  // kStrip
    BertCleaning bert;
    std::shared_ptr<const Regex> regex;       // kReplace of a pattern
    std::shared_ptr<const CharacterMap> map;  // kPrecompiled
  };
  static Result<Step> parse_step(const std::string& type, const Json& json);
  static Status parse_into(const Json& json, int depth, std::vector<Step>& steps);
  static AlignedText apply_step(const Step& step, AlignedText text);
  std::vector<Step> steps_;
};

}  // namespace volant
