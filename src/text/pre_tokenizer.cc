#include "text/pre_tokenizer.h"

#include "text/unicode.h"

namespace volant {
namespace {

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

}  // namespace

Result<PreTokenizer> PreTokenizer::parse(const Json& json) {
  PreTokenizer out;
  if (json.is_null()) return out;
  if (Status status = out.add(json, 0); !status) return std::move(status).error();
  return out;
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
  Step step;
  step.json = json;
  if (type == "ByteLevel") {
    if (TRY(json_bool_or(json, "add_prefix_space", true))) {
      step.kind = Step::Kind::kPrefixSpace;
      steps_.push_back(step);
    }
    if (TRY(json_bool_or(json, "use_regex", true))) {
      step.kind = Step::Kind::kPattern;
      step.scanner = WordPattern::kGpt2;
      steps_.push_back(step);
    }
    return {};
  }
  if (type == "Digits") {
    step.kind = Step::Kind::kDigits;
    step.individual = TRY(json_bool_or(json, "individual_digits", false));
    steps_.push_back(step);
    return {};
  }
  if (type != "Split") return fail(ErrorCode::kUnsupported, "pre-tokenizer '{}' of tokenizer.json", type);
  const std::string behavior = TRY(json_string(json, "behavior"));
  const bool invert = TRY(json_bool_or(json, "invert", false));
  if (behavior == "Isolated") {
    step.keep_gaps = true;  // matches and gaps are words alike, so `invert` changes nothing
  } else if (behavior == "Removed" && invert) {
    step.keep_gaps = false;
  } else {
    return fail(ErrorCode::kUnsupported, "pre-tokenizer Split with behavior '{}' and invert {}", behavior,
                invert);
  }
  const std::string pattern = TRY(pattern_of(json));
  step.scanner = find_word_pattern(pattern);
  if (step.scanner == WordPattern::kNone)
    step.regex = std::make_shared<const Regex>(TRY(Regex::compile(pattern)));
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
  } else {
    return fail(ErrorCode::kUnsupported,
                "pre-tokenizer '{}' (tokenizer.ggml.pre); known are gpt-2, llama-bpe, qwen2, smollm", name);
  }
  return parse(JsonObject{{"type", "Sequence"}, {"pretokenizers", list}});
}

std::optional<std::string> PreTokenizer::name() const {
  if (!has_byte_level()) return std::nullopt;
  std::vector<const Step*> cuts;
  for (const Step& step : steps_)
    if (step.kind != Step::Kind::kPrefixSpace) cuts.push_back(&step);
  const auto is_gpt2 = [](const Step& step) { return step.scanner == WordPattern::kGpt2; };
  if (cuts.size() == 2 && cuts[0]->kind == Step::Kind::kDigits && cuts[0]->individual && is_gpt2(*cuts[1]))
    return "smollm";
  if (cuts.size() != 1) return std::nullopt;
  switch (cuts[0]->scanner) {
    case WordPattern::kGpt2:
      return "gpt-2";
    case WordPattern::kQwen2:
      return "qwen2";
    case WordPattern::kLlama3:
      return "llama-bpe";
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
  for (const Json& json : json_)
    if (const Json* type = json_find(json, "type"); type != nullptr && *type == "ByteLevel") return true;
  return false;
}

bool PreTokenizer::adds_prefix_space() const {
  for (const Step& step : steps_)
    if (step.kind == Step::Kind::kPrefixSpace) return true;
  return false;
}

void PreTokenizer::cut(const Step& step, std::string_view text, std::vector<std::string_view>& out,
                       std::deque<std::string>& storage) const {
  if (text.empty()) return;
  size_t pos = 0;
  switch (step.kind) {
    case Step::Kind::kPrefixSpace:
      if (text[0] == ' ') {
        out.push_back(text);
      } else {
        storage.push_back(" " + std::string(text));
        out.push_back(storage.back());
      }
      return;
    case Step::Kind::kDigits:
      while (pos < text.size()) {
        const size_t begin = pos;
        const bool digit = is_number(next_code_point(text, pos));
        while (pos < text.size() && !(digit && step.individual)) {
          size_t after = pos;
          if (is_number(next_code_point(text, after)) != digit) break;
          pos = after;
        }
        out.push_back(text.substr(begin, pos - begin));
      }
      return;
    case Step::Kind::kPattern:
      break;
  }
  if (step.scanner != WordPattern::kNone) {
    while (pos < text.size()) {
      const size_t end = scan_word(step.scanner, text, pos);
      out.push_back(text.substr(pos, end - pos));
      pos = end;
    }
    return;
  }
  while (pos < text.size()) {
    const auto [begin, end] = step.regex->find(text, pos);
    const size_t gap_end = begin == std::string_view::npos ? text.size() : begin;
    if (gap_end > pos && step.keep_gaps) out.push_back(text.substr(pos, gap_end - pos));
    if (begin == std::string_view::npos) return;
    out.push_back(text.substr(begin, end - begin));
    pos = end;
  }
}

void PreTokenizer::split(std::string_view utf8, std::vector<std::string_view>& words,
                         std::deque<std::string>& storage) const {
  words.clear();
  if (utf8.empty()) return;
  if (steps_.empty()) {
    words.push_back(utf8);
    return;
  }
  if (steps_.size() == 1) return cut(steps_[0], utf8, words, storage);
  std::vector<std::string_view> before{utf8};
  for (const Step& step : steps_) {
    words.clear();
    for (const std::string_view word : before) cut(step, word, words, storage);
    std::swap(before, words);
  }
  std::swap(before, words);
}

}  // namespace volant
