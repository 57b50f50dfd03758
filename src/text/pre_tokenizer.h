// The `pre_tokenizer` of a byte-level tokenizer.json: cuts a text into the
// words that merges stay inside of. ByteLevel, Split (Isolated; Removed with
// invert), Digits, and sequences of them; any other is refused by name.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/regex.h"
#include "text/word_scanner.h"

namespace volant {

class PreTokenizer {
 public:
  PreTokenizer() = default;  // the whole text is one word
  static Result<PreTokenizer> parse(const Json& json);
  // The pre-tokeniser that llama.cpp calls `name` ("gpt-2", "llama-bpe", "qwen2", "smollm"). kUnsupported.
  static Result<PreTokenizer> named(const std::string& name, bool add_prefix_space);
  // llama.cpp's name of this one, if it has one.
  std::optional<std::string> name() const;
  Json to_json() const;
  bool has_byte_level() const;
  bool adds_prefix_space() const;
  // The words of `utf8` (valid UTF-8); they live as long as `utf8` and `storage`.
  void split(std::string_view utf8, std::vector<std::string_view>& words,
             std::deque<std::string>& storage) const;

 private:
  struct Step {
    enum class Kind { kPattern, kDigits, kPrefixSpace } kind = Kind::kPattern;
    WordPattern scanner = WordPattern::kNone;
    std::shared_ptr<const Regex> regex;  // kPattern without scanner
    bool keep_gaps = true;               // Isolated: what no match covers is a word too
    bool individual = false;             // kDigits: one by one
    Json json;                           // kPattern, kDigits: as it was given
  };
  Status add(const Json& json, int depth);
  void cut(const Step& step, std::string_view text, std::vector<std::string_view>& out,
           std::deque<std::string>& storage) const;
  std::vector<Step> steps_;
  std::vector<Json> json_;  // the parts of the sequence
};

}  // namespace volant
