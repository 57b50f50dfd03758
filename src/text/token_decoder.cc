#include "text/token_decoder.h"

#include <algorithm>

#include "text/byte_level.h"
#include "text/spm_model.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr int kMaxDepth = 4;
constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxContentBytes = 64;
constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string replaced(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  size_t pos = 0;
  for (size_t found; (found = text.find(pattern, pos)) != std::string_view::npos;
       pos = found + pattern.size()) {
    out.append(text.substr(pos, found - pos));
    out.append(content);
  }
  out.append(text.substr(pos));
  return out;
}

// Blanks that English writing does not have.
std::string clean_up(std::string text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replaced(text, from, to);
  return text;
}

std::string strip_ends(std::string_view text, std::string_view content, size_t start, size_t stop) {
  for (; start > 0 && text.starts_with(content); --start) text.remove_prefix(content.size());
  for (; stop > 0 && text.ends_with(content); --stop) text.remove_suffix(content.size());
  return std::string(text);
}

std::string replace_matches(const std::string& text, const Regex& regex, const std::string& content) {
  std::string out;
  size_t pos = 0;
  while (pos < text.size()) {
    const auto [begin, end] = regex.find(text, pos);
    if (begin == std::string_view::npos) break;
    out.append(text, pos, begin - pos);
    out += content;
    pos = end;
  }
  return out.append(text, pos);
}

}  // namespace

Result<TokenDecoder> TokenDecoder::parse(const Json& json) {
  TokenDecoder out;
  if (json.is_null()) return out;
  if (Status status = out.add(json, 0); !status) return std::move(status).error();
  return out;
}

TokenDecoder TokenDecoder::word_piece(const std::string& prefix, bool cleanup) {
  TokenDecoder out;
  Step step{};
  step.kind = Kind::kWordPiece;
  step.pattern = prefix;
  step.cleanup = cleanup;
  out.steps_.push_back(std::move(step));
  out.json_.push_back(JsonObject{{"type", "WordPiece"}, {"prefix", prefix}, {"cleanup", cleanup}});
  return out;
}

TokenDecoder TokenDecoder::byte_level() {
  TokenDecoder out;
  Step step{};
  step.kind = Kind::kByteLevel;
  out.steps_.push_back(std::move(step));
  out.json_.push_back(JsonObject{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}});
  return out;
}

Status TokenDecoder::add(const Json& json, int depth) {
  const std::string type = TRY(json_string(json, "type"));
  if (depth > kMaxDepth || steps_.size() > kMaxSteps)
    return fail(ErrorCode::kLimit, "expected at most {} decoders, {} deep", kMaxSteps, kMaxDepth);
  if (type != "Sequence") {
    steps_.push_back(TRY(parse_step(type, json)));
    json_.push_back(json);
    return {};
  }
  const Json* list = json_find(json, "decoders");
  if (list == nullptr || !list->is_array())
    return fail(ErrorCode::kParse, "expected an array 'decoders' in a Sequence");
  for (const Json& item : list->get_array())
    if (Status status = add(item, depth + 1); !status) return status;
  return {};
}

Result<TokenDecoder::Step> TokenDecoder::parse_step(const std::string& type, const Json& json) {
  Step step{};
  if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    step.kind = Kind::kByteFallback;
  } else if (type == "Fuse") {
    step.kind = Kind::kFuse;
  } else if (type == "WordPiece") {
    step.kind = Kind::kWordPiece;
    step.pattern = TRY(json_string_or(json, "prefix", "##"));
    step.cleanup = TRY(json_bool_or(json, "cleanup", true));
  } else if (type == "Metaspace") {
    step.kind = Kind::kMetaspace;
    step.pattern = TRY(json_string_or(json, "replacement", kBlankMark));
    const bool prefix = TRY(json_bool_or(json, "add_prefix_space", true));
    step.prefixed = TRY(json_string_or(json, "prepend_scheme", prefix ? "always" : "never")) != "never";
    if (step.pattern.empty()) return fail(ErrorCode::kParse, "expected a replacement in decoder Metaspace");
  } else if (type == "Strip") {
    step.kind = Kind::kStrip;
    step.content = TRY(json_string(json, "content"));
    const int64_t start = TRY(json_int_or(json, "start", 0)), stop = TRY(json_int_or(json, "stop", 0));
    if (step.content.empty() || start < 0 || stop < 0 || start > INT32_MAX || stop > INT32_MAX)
      return fail(ErrorCode::kParse, "expected content, start and stop in decoder Strip");
    step.start = static_cast<size_t>(start);
    step.stop = static_cast<size_t>(stop);
  } else if (type == "Replace") {
    step.kind = Kind::kReplace;
    step.content = TRY(json_string(json, "content"));
    if (step.content.size() > kMaxContentBytes)
      return fail(ErrorCode::kLimit, "expected at most {} bytes in decoder Replace", kMaxContentBytes);
    const Json* pattern = json_find(json, "pattern");
    const Json* text = pattern == nullptr ? nullptr : json_find(*pattern, "String");
    const Json* regex = pattern == nullptr ? nullptr : json_find(*pattern, "Regex");
    if (text != nullptr && text->is_string() && !text->get_string().empty())
      step.pattern = text->get_string();
    else if (regex != nullptr && regex->is_string())
      step.regex = std::make_shared<const Regex>(TRY(Regex::compile(std::string_view(regex->get_string()))));
    else
      return fail(ErrorCode::kParse, "expected a pattern {{String}} or {{Regex}} in decoder Replace");
  } else {
    return fail(ErrorCode::kUnsupported, "decoder '{}' of tokenizer.json", type);
  }
  return step;
}

Json TokenDecoder::to_json() const {
  if (json_.empty()) return nullptr;
  if (json_.size() == 1) return json_[0];
  return JsonObject{{"type", "Sequence"}, {"decoders", JsonArray(json_.begin(), json_.end())}};
}

bool TokenDecoder::is_byte_level() const { return steps_.size() == 1 && steps_[0].kind == Kind::kByteLevel; }

// Byte tokens side by side are a text together; each is U+FFFD where they are no UTF-8.
std::vector<std::string> TokenDecoder::join_bytes(std::vector<std::string> tokens) {
  std::vector<std::string> out;
  std::string run;
  const auto end_run = [&] {
    if (is_valid_utf8(run))
      out.push_back(run);
    else
      for (size_t i = 0; i < run.size(); ++i) out.emplace_back(kReplacement);
    run.clear();
  };
  for (std::string& token : tokens) {
    const int byte = byte_piece_value(token);
    if (byte >= 0) {
      run.push_back(static_cast<char>(byte));
      continue;
    }
    if (!run.empty()) end_run();
    out.push_back(std::move(token));
  }
  if (!run.empty()) end_run();
  return out;
}

std::string TokenDecoder::decode_one(const Step& step, std::string token, bool first) {
  switch (step.kind) {
    case Kind::kByteLevel:
      return alphabet_to_bytes(token).value_or(token);
    case Kind::kWordPiece:
      if (!first) {
        if (!step.pattern.empty() && token.starts_with(step.pattern))
          token.erase(0, step.pattern.size());
        else
          token.insert(0, 1, ' ');
      }
      return step.cleanup ? clean_up(std::move(token)) : token;
    case Kind::kMetaspace:
      return replaced(token, step.pattern, first && step.prefixed ? "" : " ");
    case Kind::kReplace:
      return step.regex != nullptr ? replace_matches(token, *step.regex, step.content)
                                   : replaced(token, step.pattern, step.content);
    case Kind::kStrip:
      return strip_ends(token, step.content, step.start, step.stop);
    case Kind::kByteFallback:
    case Kind::kFuse:
      break;
  }
  return token;
}

std::string TokenDecoder::decode(std::vector<std::string> tokens) const {
  std::string out;
  if (steps_.empty()) {
    for (size_t i = 0; i < tokens.size(); ++i) out += (i == 0 ? "" : " ") + tokens[i];
    return out;
  }
  for (const Step& step : steps_) {
    if (step.kind == Kind::kByteFallback) {
      tokens = join_bytes(std::move(tokens));
    } else if (step.kind == Kind::kFuse) {
      std::string all;
      for (const std::string& token : tokens) all += token;
      tokens = {std::move(all)};
    } else {
      for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = decode_one(step, std::move(tokens[i]), i == 0);
    }
  }
  for (const std::string& token : tokens) out += token;
  return out;
}

std::string TokenDecoder::middle(const std::string& token) const {
  if (steps_.empty()) return " " + token;
  std::string out = token;
  bool fused = false;
  for (const Step& step : steps_) {
    fused = fused || step.kind == Kind::kFuse;
    if (fused && step.kind == Kind::kStrip) continue;  // of the whole text
    const int byte = step.kind == Kind::kByteFallback ? byte_piece_value(out) : -1;
    if (byte >= 0) return std::string(1, static_cast<char>(byte));
    out = decode_one(step, std::move(out), false);
  }
  return out;
}

bool TokenDecoder::drops_first_blank() const {
  if (steps_.empty()) return true;
  bool fused = false;
  for (const Step& step : steps_) {
    fused = fused || step.kind == Kind::kFuse;
    if (step.kind == Kind::kWordPiece || (step.kind == Kind::kMetaspace && step.prefixed)) return true;
    if (fused && step.kind == Kind::kStrip && step.content == " " && step.start > 0) return true;
  }
  return false;
}

}  // namespace volant
