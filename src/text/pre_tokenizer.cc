#include "text/pre_tokenizer.h"

#include <algorithm>
#include <cctype>

#include "text/bert_characters.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581
constexpr int kMaxDepth = 4;
constexpr size_t kMaxSteps = 16;

Json byte_level_json(bool add_prefix_space, bool use_regex) {
  return JsonObject{{"type", "ByteLevel"},
                    {"add_prefix_space", add_prefix_space},
                    {"trim_offsets", true},
                    {"use_regex", use_regex}};
}

Json split_json(std::string_view regex) {
  return JsonObject{{"type", "Split"},
                    {"pattern", JsonObject{{"Regex", std::string(regex)}}},
                    {"behavior", "Isolated"},
                    {"invert", false}};
}

std::string quote_for_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) out += '\\';
    out += c;
  }
  return out;
}

Result<std::string> pattern_of(const Json& json) {
  const Json* pattern = json_find(json, "pattern");
  if (pattern != nullptr) {
    if (const Json* regex = json_find(*pattern, "Regex"); regex != nullptr && regex->is_string())
      return std::string(regex->get_string());
    if (const Json* text = json_find(*pattern, "String"); text != nullptr && text->is_string())
      return quote_for_regex(text->get_string());
  }
  return fail(ErrorCode::kParse, "expected a pattern {{Regex}} or {{String}} in pre-tokenizer Split");
}

// `behavior`; `otherwise` when it is absent, "" where it must be there.
template <class Behavior>
Result<Behavior> parse_behavior(const Json& json, const std::string& otherwise) {
  const std::string name = otherwise.empty() ? TRY(json_string(json, "behavior"))
                                             : TRY(json_string_or(json, "behavior", otherwise));
  static constexpr std::pair<std::string_view, Behavior> kNames[] = {
      {"Isolated", Behavior::kIsolated},
      {"Removed", Behavior::kRemoved},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous}};
  for (const auto& [known, behavior] : kNames)
    if (known == name) return behavior;
  return fail(ErrorCode::kUnsupported, "pre-tokenizer behavior '{}'", name);
}

bool has_type(const Json& json, std::string_view type) {
  const Json* found = json_find(json, "type");
  return found != nullptr && found->is_string() && std::string_view(found->get_string()) == type;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::parse(const Json& json) {
  PreTokenizer out;
  if (json.is_null()) return out;
  if (Status status = out.add(json, 0); !status) return std::move(status).error();
  return out;
}

PreTokenizer PreTokenizer::byte_level(WordPattern pattern) {
  PreTokenizer out;
  out.add_cut(Matcher::kScanner, Behavior::kIsolated);
  out.steps_.back().scanner = pattern;
  out.json_ = {split_json(word_regex(pattern)), byte_level_json(false, false)};
  return out;
}

void PreTokenizer::add_cut(Matcher matcher, Behavior behavior, bool invert) {
  Step step;
  step.matcher = matcher;
  step.behavior = behavior;
  step.invert = invert;
  steps_.push_back(std::move(step));
}

Status PreTokenizer::add(const Json& json, int depth) {
  const std::string type = TRY(json_string(json, "type"));
  if (depth > kMaxDepth || steps_.size() > kMaxSteps)
    return fail(ErrorCode::kLimit, "expected at most {} pre-tokenizers, {} deep", kMaxSteps, kMaxDepth);
  if (type == "Sequence") {
    const Json* list = json_find(json, "pretokenizers");
    if (list == nullptr || !list->is_array())
      return fail(ErrorCode::kParse, "expected an array 'pretokenizers' in a Sequence");
    for (const Json& item : list->get_array()) {
      if (Status status = add(item, depth + 1); !status) return status;
    }
    return {};
  }
  json_.push_back(json);
  if (type == "Split") return add_split(json);
  if (type == "Metaspace") return add_metaspace(json);
  if (type == "ByteLevel") {
    if (TRY(json_bool_or(json, "add_prefix_space", true))) {
      add_cut(Matcher::kScanner, Behavior::kIsolated);
      steps_.back().kind = Step::Kind::kPrefixSpace;
    }
    if (TRY(json_bool_or(json, "use_regex", true))) {
      add_cut(Matcher::kScanner, Behavior::kIsolated);
      steps_.back().scanner = WordPattern::kGpt2;
    }
  } else if (type == "Digits") {
    const bool individual = TRY(json_bool_or(json, "individual_digits", false));
    add_cut(Matcher::kDigit, individual ? Behavior::kIsolated : Behavior::kContiguous);
  } else if (type == "Punctuation") {
    add_cut(Matcher::kBertPunctuation, TRY(parse_behavior<Behavior>(json, "Isolated")));
  } else if (type == "WhitespaceSplit") {
    add_cut(Matcher::kBlank, Behavior::kRemoved);
  } else if (type == "BertPreTokenizer") {
    add_cut(Matcher::kBlank, Behavior::kRemoved);
    add_cut(Matcher::kBertPunctuation, Behavior::kIsolated);
  } else if (type == "Whitespace") {
    add_cut(Matcher::kRegex, Behavior::kRemoved, true);
    steps_.back().regex = std::make_shared<const Regex>(
        TRY(Regex::compile(R"([\w\x{200C}\x{200D}]+|[^\w\x{200C}\x{200D}\s]+)")));
  } else if (type == "CharDelimiterSplit") {
    const std::string delimiter = TRY(json_string(json, "delimiter"));
    if (delimiter.empty() || count_code_points(delimiter) != 1)
      return fail(ErrorCode::kParse, "expected one character as delimiter, got '{}'", delimiter);
    add_cut(Matcher::kDelimiter, Behavior::kRemoved);
    size_t pos = 0;
    steps_.back().delimiter = next_code_point(delimiter, pos);
  } else {
    return fail(ErrorCode::kUnsupported, "pre-tokenizer '{}' of tokenizer.json", type);
  }
  return {};
}

Status PreTokenizer::add_split(const Json& json) {
  const std::string pattern = TRY(pattern_of(json));
  add_cut(Matcher::kScanner, TRY(parse_behavior<Behavior>(json, "")),
          TRY(json_bool_or(json, "invert", false)));
  Step& step = steps_.back();
  step.scanner = find_word_pattern(pattern);
  if (step.scanner != WordPattern::kNone) {
    // Scanners cover the text, so there is nothing between the matches.
    const bool isolated = step.behavior == Behavior::kIsolated;
    if (isolated || (step.behavior == Behavior::kRemoved && step.invert)) {
      step.behavior = Behavior::kIsolated;
      return {};
    }
    step.scanner = WordPattern::kNone;
  }
  step.matcher = Matcher::kRegex;
  step.regex = std::make_shared<const Regex>(TRY(Regex::compile(pattern)));
  return {};
}

Status PreTokenizer::add_metaspace(const Json& json) {
  Step step;
  step.kind = Step::Kind::kMetaspace;
  step.replacement = TRY(json_string_or(json, "replacement", kBlankMark));
  if (count_code_points(step.replacement) != 1)
    return fail(ErrorCode::kParse, "expected one character as replacement, got '{}'", step.replacement);
  const bool prefix = TRY(json_bool_or(json, "add_prefix_space", true));  // as older files say it
  const std::string scheme = TRY(json_string_or(json, "prepend_scheme", prefix ? "always" : "never"));
  if (scheme != "always" && scheme != "first" && scheme != "never")
    return fail(ErrorCode::kUnsupported, "prepend_scheme '{}' of Metaspace", scheme);
  step.prepend = scheme == "always"  ? Step::Prepend::kAlways
                 : scheme == "first" ? Step::Prepend::kFirst
                                     : Step::Prepend::kNever;
  step.split = TRY(json_bool_or(json, "split", true));
  steps_.push_back(std::move(step));
  return {};
}

Result<PreTokenizer> PreTokenizer::named(const std::string& name, bool add_prefix_space) {
  JsonArray list;
  if (name == "gpt-2" || name == "gpt2" || name == "default" || name.empty()) {
    list.push_back(byte_level_json(add_prefix_space, true));
  } else if (name == "smollm" || name == "starcoder" || name == "refact" || name == "command-r") {
    list.push_back(JsonObject{{"type", "Digits"}, {"individual_digits", true}});
    list.push_back(byte_level_json(add_prefix_space, true));
  } else if (name == "llama-bpe" || name == "llama3" || name == "llama-v3" || name == "llama3-v1") {
    list.push_back(split_json(word_regex(WordPattern::kLlama3)));
    list.push_back(byte_level_json(add_prefix_space, false));
  } else if (name == "qwen2" || name == "deepseek-r1-qwen") {
    list.push_back(split_json(word_regex(WordPattern::kQwen2)));
    list.push_back(byte_level_json(add_prefix_space, false));
  } else if (name == "gpt-4o" || name == "llama4") {
    list.push_back(split_json(word_regex(WordPattern::kO200k)));
    list.push_back(byte_level_json(add_prefix_space, false));
  } else {
    return fail(ErrorCode::kUnsupported,
                "pre-tokenizer '{}' (tokenizer.ggml.pre); known are gpt-2, llama-bpe, qwen2, smollm, gpt-4o",
                name);
  }
  return parse(JsonObject{{"type", "Sequence"}, {"pretokenizers", list}});
}

std::optional<std::string> PreTokenizer::name() const {
  if (!has_byte_level()) return std::nullopt;
  std::vector<const Step*> cuts;
  for (const Step& step : steps_)
    if (step.kind != Step::Kind::kPrefixSpace) cuts.push_back(&step);
  const auto is_gpt2 = [](const Step& step) { return step.scanner == WordPattern::kGpt2; };
  if (cuts.size() == 2 && cuts[0]->matcher == Matcher::kDigit && cuts[0]->behavior == Behavior::kIsolated &&
      is_gpt2(*cuts[1]))
    return "smollm";
  if (cuts.size() != 1) return std::nullopt;
  switch (cuts[0]->scanner) {
    case WordPattern::kGpt2:
      return "gpt-2";
    case WordPattern::kQwen2:
      return "qwen2";
    case WordPattern::kLlama3:
      return "llama-bpe";
    case WordPattern::kO200k:
      return "gpt-4o";
    case WordPattern::kNone:
      break;
  }
  return std::nullopt;
}

Json PreTokenizer::to_json() const {
  if (json_.empty()) return nullptr;
  if (json_.size() == 1) return json_[0];
  return JsonObject{{"type", "Sequence"}, {"pretokenizers", JsonArray(json_.begin(), json_.end())}};
}

bool PreTokenizer::has_byte_level() const {
  return std::any_of(json_.begin(), json_.end(),
                     [](const Json& json) { return has_type(json, "ByteLevel"); });
}

bool PreTokenizer::adds_prefix_space() const {
  return std::any_of(steps_.begin(), steps_.end(),
                     [](const Step& step) { return step.kind == Step::Kind::kPrefixSpace; });
}

bool PreTokenizer::is_bert() const { return json_.size() == 1 && has_type(json_[0], "BertPreTokenizer"); }

WordPattern PreTokenizer::only_scanner() const {
  return steps_.size() == 1 && steps_[0].kind == Step::Kind::kCut ? steps_[0].scanner : WordPattern::kNone;
}

bool PreTokenizer::matches(const Step& step, char32_t c) {
  switch (step.matcher) {
    case Matcher::kDigit:
      return is_number(c);
    case Matcher::kPunctuation:
      return is_punctuation(c);
    case Matcher::kBertPunctuation:
      return is_bert_punctuation(c);
    case Matcher::kBlank:
      return is_white_space(c);
    case Matcher::kDelimiter:
      return c == step.delimiter;
    case Matcher::kScanner:
    case Matcher::kRegex:
      break;
  }
  return false;
}

// The text as matches and what is between them.
std::vector<PreTokenizer::Piece> PreTokenizer::find_pieces(const Step& step, std::string_view text) {
  std::vector<Piece> pieces;
  size_t done = 0;
  const auto add = [&](size_t begin, size_t end) {
    if (begin > done) pieces.push_back({done, begin, step.invert});
    pieces.push_back({begin, end, !step.invert});
    done = end;
  };
  if (step.matcher == Matcher::kRegex) {
    while (done < text.size()) {
      const auto [begin, end] = step.regex->find(text, done);
      if (begin == std::string_view::npos) break;
      add(begin, end);
    }
  } else {
    for (size_t pos = 0; pos < text.size();) {
      const size_t begin = pos;
      if (matches(step, next_code_point(text, pos))) add(begin, pos);
    }
  }
  if (done < text.size()) pieces.push_back({done, text.size(), step.invert});
  return pieces;
}

// Leaves the pieces that are words.
void PreTokenizer::join_pieces(const Step& step, std::vector<Piece>& pieces) {
  std::vector<Piece> joined;
  switch (step.behavior) {
    case Behavior::kIsolated:
      return;
    case Behavior::kRemoved:
      std::erase_if(pieces, [](const Piece& piece) { return piece.match; });
      return;
    case Behavior::kContiguous:
      for (const Piece& piece : pieces) {
        if (!joined.empty() && joined.back().match == piece.match)
          joined.back().end = piece.end;
        else
          joined.push_back(piece);
      }
      break;
    case Behavior::kMergedWithPrevious: {
      bool after_match = false;
      for (const Piece& piece : pieces) {
        if (piece.match && !after_match && !joined.empty())
          joined.back().end = piece.end;
        else
          joined.push_back(piece);
        after_match = piece.match;
      }
      break;
    }
    case Behavior::kMergedWithNext: {
      bool before_match = false;
      for (size_t i = pieces.size(); i-- > 0;) {
        if (pieces[i].match && !before_match && !joined.empty())
          joined.back().begin = pieces[i].begin;
        else
          joined.push_back(pieces[i]);
        before_match = pieces[i].match;
      }
      std::reverse(joined.begin(), joined.end());
      break;
    }
  }
  pieces = std::move(joined);
}

void PreTokenizer::cut(const Step& step, const Word& word, std::vector<Word>& out) {
  const auto push = [&](size_t begin, size_t end) {
    out.push_back({word.text.substr(begin, end - begin), word.from == nullptr ? nullptr : word.from + begin});
  };
  if (step.matcher == Matcher::kScanner) {
    for (size_t pos = 0; pos < word.text.size();) {
      const size_t end = scan_word(step.scanner, word.text, pos);
      push(pos, end);
      pos = end;
    }
    return;
  }
  std::vector<Piece> pieces = find_pieces(step, word.text);
  join_pieces(step, pieces);
  for (const Piece& piece : pieces) push(piece.begin, piece.end);
}

// The word with a blank in front, or with its blanks marked.
Word PreTokenizer::rewrite(const Step& step, const Word& word, bool at_start,
                           std::deque<AlignedText>& storage) {
  const bool metaspace = step.kind == Step::Kind::kMetaspace;
  const std::string mark = metaspace ? step.replacement : " ";
  const bool asked = !metaspace || step.prepend == Step::Prepend::kAlways ||
                     (step.prepend == Step::Prepend::kFirst && at_start);
  const bool begins = word.text.starts_with(' ') || word.text.starts_with(mark);
  AlignedText out{"", word.from != nullptr, {}};
  const auto from = [&word](size_t pos) { return word.from == nullptr ? TextSpan{} : word.from[pos]; };
  if (asked && !begins) out.push(mark, from(0));
  for (size_t pos = 0; pos < word.text.size(); ++pos) {
    if (metaspace && word.text[pos] == ' ')
      out.push(mark, from(pos));
    else
      out.push(word.text.substr(pos, 1), from(pos));
  }
  storage.push_back(std::move(out));
  const AlignedText& kept = storage.back();
  return {kept.text, kept.tracked ? kept.from.data() : nullptr};
}

void PreTokenizer::split(const AlignedText& text, bool at_start, std::vector<Word>& words,
                         std::deque<AlignedText>& storage) const {
  words.clear();
  if (text.text.empty()) return;
  const Word whole{text.text, text.tracked ? text.from.data() : nullptr};
  words.push_back(whole);
  std::vector<Word> before;
  for (const Step& step : steps_) {
    std::swap(before, words);
    words.clear();
    for (size_t i = 0; i < before.size(); ++i) {
      if (step.kind == Step::Kind::kCut) {
        cut(step, before[i], words);
        continue;
      }
      const Word made = rewrite(step, before[i], at_start && i == 0, storage);
      if (step.kind != Step::Kind::kMetaspace || !step.split) {
        words.push_back(made);
        continue;
      }
      // Each mark begins a word.
      for (size_t pos = 0; pos < made.text.size();) {
        const size_t end = std::min(made.text.find(step.replacement, pos + 1), made.text.size());
        words.push_back({made.text.substr(pos, end - pos), made.from == nullptr ? nullptr : made.from + pos});
        pos = end;
      }
    }
  }
}

}  // namespace volant
