#include "text/text_normalizer.h"

#include <algorithm>

#include "text/base64.h"
#include "text/bert_characters.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr int kMaxDepth = 4;
constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxContentBytes = 64;   // of one replacement
constexpr size_t kMaxGrowth = 64;         // times the text
constexpr size_t kMaxMappedGrapheme = 5;  // bytes; longer ones are mapped character by character

// For every character: how it goes on. `change(out, c, text, span)` appends what becomes of it.
template <class Change>
AlignedText each_character(const AlignedText& in, const Change& change) {
  AlignedText out = AlignedText::like(in);
  for (size_t pos = 0; pos < in.text.size();) {
    const size_t begin = pos;
    const char32_t c = next_code_point(in.text, pos);
    change(out, c, std::string_view(in.text).substr(begin, pos - begin), in.at(begin));
  }
  return out;
}

AlignedText lowercase(const AlignedText& in) {
  return each_character(in, [](AlignedText& out, char32_t c, std::string_view, TextSpan span) {
    std::string lower;
    append_lower(lower, c);
    out.push(lower, span);
  });
}

// A match is replaced by `content`, which comes from the last character of the match.
void replace_match(AlignedText& out, const AlignedText& in, size_t end, const std::string& content) {
  out.push(content, in.at(end - 1));
}

AlignedText replace_text(const AlignedText& in, const std::string& pattern, const std::string& content) {
  AlignedText out = AlignedText::like(in);
  size_t pos = 0;
  for (size_t found; (found = in.text.find(pattern, pos)) != std::string::npos;
       pos = found + pattern.size()) {
    out.copy(in, pos, found);
    replace_match(out, in, found + pattern.size(), content);
  }
  out.copy(in, pos, in.text.size());
  return out;
}

AlignedText replace_pattern(const AlignedText& in, const Regex& regex, const std::string& content) {
  AlignedText out = AlignedText::like(in);
  size_t pos = 0;
  while (pos < in.text.size()) {
    const auto [begin, end] = regex.find(in.text, pos);
    if (begin == std::string_view::npos) break;
    out.copy(in, pos, begin);
    replace_match(out, in, end, content);
    pos = end;
  }
  out.copy(in, pos, in.text.size());
  return out;
}

AlignedText strip(const AlignedText& in, bool left, bool right) {
  size_t begin = 0, end = in.text.size();
  for (size_t pos = 0; left && pos < end; begin = pos)
    if (!is_white_space(next_code_point(in.text, pos))) break;
  size_t last = begin;
  for (size_t pos = begin; right && pos < end;)
    if (!is_white_space(next_code_point(in.text, pos))) last = pos;
  if (right) end = last;
  AlignedText out = AlignedText::like(in);
  out.copy(in, begin, end);
  return out;
}

// SentencePiece's "nmt" rules: some control characters go, others and odd blanks become ' '.
AlignedText nmt(const AlignedText& in) {
  return each_character(in, [](AlignedText& out, char32_t c, std::string_view text, TextSpan span) {
    if ((c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
      return;
    const bool blank = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                       c == 0xFEFF || c == 0xFFFD;
    out.push(blank ? " " : text, span);
  });
}

// As Hugging Face's Precompiled: a short grapheme is replaced as a whole by what its shortest mapped
// beginning becomes; otherwise each of its characters is.
AlignedText precompiled(const AlignedText& in, const CharacterMap& map) {
  AlignedText out = AlignedText::like(in);
  const std::string_view text = in.text;
  size_t begin = 0;
  for (const size_t end : grapheme_ends(text)) {
    const std::string_view grapheme = text.substr(begin, end - begin);
    const auto whole = grapheme.size() <= kMaxMappedGrapheme ? map.shortest(grapheme) : std::nullopt;
    if (whole) {
      out.push(whole->replacement, in.at(begin));
    } else {
      for (size_t pos = begin; pos < end;) {
        const size_t start = pos;
        next_code_point(text, pos);
        const std::string_view character = text.substr(start, pos - start);
        const auto mapped = map.shortest(character);
        out.push(mapped ? mapped->replacement : character, in.at(start));
      }
    }
    begin = end;
  }
  return out;
}

AlignedText without(const AlignedText& in, bool (*drop)(char32_t)) {
  return each_character(in, [drop](AlignedText& out, char32_t c, std::string_view text, TextSpan span) {
    if (!drop(c)) out.push(text, span);
  });
}

AlignedText clean_for_bert(AlignedText text, const BertCleaning& how) {
  if (how.clean_text)
    text = each_character(text, [](AlignedText& out, char32_t c, std::string_view same, TextSpan span) {
      if (is_bert_control(c)) return;
      out.push(is_white_space(c) ? " " : same, span);
    });
  if (how.handle_chinese_chars)
    text = each_character(text, [](AlignedText& out, char32_t c, std::string_view same, TextSpan span) {
      const bool han = is_bert_han(c);
      if (han) out.push(" ", span);
      out.push(same, span);
      if (han) out.push(" ", span);
    });
  if (how.strip_accents) text = without(normalize(std::move(text), NormalForm::kNfd), is_nonspacing_mark);
  return how.lowercase ? lowercase(text) : text;
}

Result<BertCleaning> parse_bert(const Json& json) {
  BertCleaning out;
  out.clean_text = TRY(json_bool_or(json, "clean_text", true));
  out.handle_chinese_chars = TRY(json_bool_or(json, "handle_chinese_chars", true));
  out.lowercase = TRY(json_bool_or(json, "lowercase", true));
  out.strip_accents = TRY(json_bool_or(json, "strip_accents", out.lowercase));
  return out;
}

}  // namespace

Result<TextNormalizer> TextNormalizer::parse(const Json& json) {
  TextNormalizer out;
  if (json.is_null()) return out;
  if (Status status = parse_into(json, 0, out.steps_); !status) return std::move(status).error();
  return out;
}

TextNormalizer TextNormalizer::nfc() {
  TextNormalizer out;
  Step step{};
  step.kind = Kind::kNfc;
  step.json = JsonObject{{"type", "NFC"}};
  out.steps_.push_back(std::move(step));
  return out;
}

Result<TextNormalizer::Step> TextNormalizer::parse_step(const std::string& type, const Json& json) {
  static constexpr std::pair<std::string_view, Kind> kPlain[] = {{"NFC", Kind::kNfc},
                                                                 {"NFD", Kind::kNfd},
                                                                 {"NFKC", Kind::kNfkc},
                                                                 {"NFKD", Kind::kNfkd},
                                                                 {"Strip", Kind::kStrip},
                                                                 {"Lowercase", Kind::kLowercase},
                                                                 {"Nmt", Kind::kNmt},
                                                                 {"Prepend", Kind::kPrepend},
                                                                 {"StripAccents", Kind::kStripAccents},
                                                                 {"Replace", Kind::kReplace},
                                                                 {"BertNormalizer", Kind::kBert},
                                                                 {"Precompiled", Kind::kPrecompiled}};
  const auto* found = std::find_if(std::begin(kPlain), std::end(kPlain),
                                   [&type](const auto& row) { return row.first == type; });
  if (found == std::end(kPlain))
    return fail(ErrorCode::kUnsupported, "normalizer '{}' of tokenizer.json", type);
  Step step{};
  step.kind = found->second;
  step.json = json;
  if (step.kind == Kind::kStrip) {
    step.left = TRY(json_bool_or(json, "strip_left", true));
    step.right = TRY(json_bool_or(json, "strip_right", true));
  } else if (step.kind == Kind::kPrepend) {
    step.content = TRY(json_string(json, "prepend"));
  } else if (step.kind == Kind::kBert) {
    step.bert = TRY(parse_bert(json));
  } else if (step.kind == Kind::kPrecompiled) {
    const std::string bytes = TRY(decode_base64(TRY(json_string_or(json, "precompiled_charsmap", ""))));
    step.map = std::make_shared<const CharacterMap>(TRY(CharacterMap::parse(bytes)));
  } else if (step.kind == Kind::kReplace) {
    const Json* pattern = json_find(json, "pattern");
    const Json* text = pattern == nullptr ? nullptr : json_find(*pattern, "String");
    const Json* regex = pattern == nullptr ? nullptr : json_find(*pattern, "Regex");
    step.content = TRY(json_string(json, "content"));
    if (text != nullptr && text->is_string() && !text->get_string().empty())
      step.pattern = text->get_string();
    else if (regex != nullptr && regex->is_string())
      step.regex = std::make_shared<const Regex>(TRY(Regex::compile(std::string_view(regex->get_string()))));
    else
      return fail(ErrorCode::kParse, "expected a pattern {{String}} or {{Regex}} in normalizer Replace");
  }
  if (step.content.size() > kMaxContentBytes)
    return fail(ErrorCode::kLimit, "expected at most {} bytes in normalizer {}, got {}", kMaxContentBytes,
                type, step.content.size());
  return step;
}

Status TextNormalizer::parse_into(const Json& json, int depth, std::vector<Step>& steps) {
  const std::string type = TRY(json_string(json, "type"));
  if (depth > kMaxDepth || steps.size() > kMaxSteps)
    return fail(ErrorCode::kLimit, "expected at most {} normalizers, {} deep", kMaxSteps, kMaxDepth);
  if (type != "Sequence") {
    steps.push_back(TRY(parse_step(type, json)));
    return {};
  }
  const Json* list = json_find(json, "normalizers");
  if (list == nullptr || !list->is_array())
    return fail(ErrorCode::kParse, "expected an array 'normalizers' in a Sequence");
  for (const Json& item : list->get_array()) {
    if (Status status = parse_into(item, depth + 1, steps); !status) return status;
  }
  return {};
}

Json TextNormalizer::to_json() const {
  if (steps_.empty()) return nullptr;
  if (steps_.size() == 1) return steps_[0].json;
  JsonArray list;
  for (const Step& step : steps_) list.push_back(step.json);
  return JsonObject{{"type", "Sequence"}, {"normalizers", list}};
}

const BertCleaning* TextNormalizer::bert() const {
  return steps_.size() == 1 && steps_[0].kind == Kind::kBert ? &steps_[0].bert : nullptr;
}

const CharacterMap* TextNormalizer::character_map() const {
  for (const Step& step : steps_)
    if (step.kind == Kind::kPrecompiled) return step.map.get();
  return nullptr;
}

AlignedText TextNormalizer::apply_step(const Step& step, AlignedText text) {
  switch (step.kind) {
    case Kind::kNfc:
      return normalize(std::move(text), NormalForm::kNfc);
    case Kind::kNfd:
      return normalize(std::move(text), NormalForm::kNfd);
    case Kind::kNfkc:
      return normalize(std::move(text), NormalForm::kNfkc);
    case Kind::kNfkd:
      return normalize(std::move(text), NormalForm::kNfkd);
    case Kind::kLowercase:
      return lowercase(text);
    case Kind::kPrepend: {
      if (text.text.empty()) return text;
      AlignedText out = AlignedText::like(text);
      out.push(step.content, text.at(0));
      out.copy(text, 0, text.text.size());
      return out;
    }
    case Kind::kReplace:
      return step.regex != nullptr ? replace_pattern(text, *step.regex, step.content)
                                   : replace_text(text, step.pattern, step.content);
    case Kind::kStrip:
      return strip(text, step.left, step.right);
    case Kind::kStripAccents:
      return without(text, is_mark);
    case Kind::kNmt:
      return nmt(text);
    case Kind::kPrecompiled:
      return precompiled(text, *step.map);
    case Kind::kBert:
      return clean_for_bert(std::move(text), step.bert);
  }
  return text;
}

AlignedText TextNormalizer::apply(AlignedText text) const {
  const size_t most = kMaxGrowth * (text.text.size() + kMaxGrowth);
  for (const Step& step : steps_) {
    if (text.text.size() > most) break;  // steps that feed each other: no real vocabulary has them
    text = apply_step(step, std::move(text));
  }
  return text;
}

std::string TextNormalizer::apply(std::string_view utf8) const {
  return apply(AlignedText{std::string(utf8), false, {}}).text;
}

}  // namespace volant
