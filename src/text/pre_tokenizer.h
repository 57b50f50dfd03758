// The `pre_tokenizer` of a tokenizer.json: cuts a text into the words that the model works on one by one.
// ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, BertPreTokenizer,
// Metaspace and sequences of them; any other is refused by name.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/aligned_text.h"
#include "text/regex.h"
#include "text/word_scanner.h"

namespace volant {

// A part of a text; `from` says for each byte where it came from, or is null when that is not tracked.
struct Word {
  std::string_view text;
  const TextSpan* from = nullptr;
};

class PreTokenizer {
 public:
  PreTokenizer() = default;  // the whole text is one word
  static Result<PreTokenizer> parse(const Json& json);
  // The pre-tokeniser that llama.cpp calls `name` ("gpt-2", "llama-bpe", "qwen2", "smollm", "gpt-4o").
  // kUnsupported.
  static Result<PreTokenizer> named(const std::string& name, bool add_prefix_space);
  // Cuts with a known pattern, then ByteLevel.
  static PreTokenizer byte_level(WordPattern pattern);
  // llama.cpp's name of this one, if it has one.
  std::optional<std::string> name() const;
  Json to_json() const;
  bool has_byte_level() const;
  bool adds_prefix_space() const;
  bool is_bert() const;
  // The scanner, when cutting with it is all that is done; otherwise kNone.
  WordPattern only_scanner() const;
  // The words of `text` (valid UTF-8); they live as long as `text` and `storage`. `at_start`: it begins the
  // whole text, so that Metaspace with prepend_scheme "first" puts its mark there.
  void split(const AlignedText& text, bool at_start, std::vector<Word>& words,
             std::deque<AlignedText>& storage) const;

 private:
  enum class Matcher { kScanner, kRegex, kDigit, kPunctuation, kBertPunctuation, kBlank, kDelimiter };
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Step {
    enum class Kind { kCut, kPrefixSpace, kMetaspace } kind = Kind::kCut;
    Matcher matcher = Matcher::kRegex;
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;  // what does not match is the match
    WordPattern scanner = WordPattern::kNone;
    std::shared_ptr<const Regex> regex;
    char32_t delimiter = 0;
    // kMetaspace
    std::string replacement;
    enum class Prepend { kAlways, kFirst, kNever } prepend = Prepend::kAlways;
    bool split = true;
  };
  struct Piece {
    size_t begin, end;
    bool match;
  };
  Status add(const Json& json, int depth);
  Status add_split(const Json& json);
  Status add_metaspace(const Json& json);
  void add_cut(Matcher matcher, Behavior behavior, bool invert = false);
  static bool matches(const Step& step, char32_t c);
  static std::vector<Piece> find_pieces(const Step& step, std::string_view text);
  static void join_pieces(const Step& step, std::vector<Piece>& pieces);
  static void cut(const Step& step, const Word& word, std::vector<Word>& out);
  static Word rewrite(const Step& step, const Word& word, bool at_start, std::deque<AlignedText>& storage);
  std::vector<Step> steps_;
  std::vector<Json> json_;  // the parts of the sequence
};

}  // namespace volant
