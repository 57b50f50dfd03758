#include "tasks/text/text_encoder.h"

#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr int64_t kMaxLength = 1 << 20;
constexpr size_t kMaxTextBytes = 8 << 20;
const std::array<std::string, 2> kFields = {"text", "text_pair"};

Status check_input(const Json& input) {
  if (!input.is_object())
    return fail(ErrorCode::kInvalidArgument,
                "expected the input to be an object such as {{\"text\": \"...\"}}");
  for (const auto& entry : input.get_object()) {
    const std::string key(entry.key());
    if (std::find(kFields.begin(), kFields.end(), key) == kFields.end())
      return fail(ErrorCode::kInvalidArgument, "unknown field '{}'{}", key, did_you_mean(key, kFields));
    const bool absent = key == "text_pair" && entry.value().is_null();
    if (!absent && !entry.value().is_string())
      return fail(ErrorCode::kInvalidArgument, "field '{}': expected a text, got {}", key,
                  dump_json(entry.value()).substr(0, 100));
    if (!absent && entry.value().get_string().size() > kMaxTextBytes)
      return fail(ErrorCode::kLimit, "field '{}': expected at most {} bytes, got {}", key, kMaxTextBytes,
                  entry.value().get_string().size());
  }
  if (json_find(input, "text") == nullptr)
    return fail(ErrorCode::kInvalidArgument, "expected a field 'text'");
  return {};
}

}  // namespace

bool continues_word(const Tokenizer& tokenizer, int32_t id) {
  if (tokenizer.algorithm() != "wordpiece") return false;
  const std::string text = tokenizer.token_text(id);
  return text.size() > 2 && text.starts_with("##");
}

Result<std::unique_ptr<TextEncoder>> TextEncoder::make(std::unique_ptr<Tokenizer> tokenizer,
                                                       const TextOptions& options) {
  std::unique_ptr<TextEncoder> encoder(new TextEncoder(std::move(tokenizer), options));
  const Json longest = JsonObject{{"text", "a"}, {"text_pair", "a"}};
  if (const Result<EncodedInput> fits = encoder->encode(longest); !fits)
    return fail(ErrorCode::kInvalidArgument, "'max_length' of {} is too short: {}", options.max_length,
                fits.error().message);
  return encoder;
}

std::string TextEncoder::prepared(std::string_view text) const {
  std::string valid = to_valid_utf8(text);
  return options_.segment ? separate_words(valid) : valid;
}

Result<Encoding> TextEncoder::encode_whole(const Json& input) const {
  TRY(check_input(input));
  const Json* pair = json_find(input, "text_pair");
  const std::string text = prepared(json_find(input, "text")->get_string());
  const std::string second = pair == nullptr ? std::string() : prepared(pair->get_string());
  EncodingOptions how;
  how.parse_special = false;  // what people write stays text
  how.truncation = Truncation{.max_length = static_cast<uint32_t>(options_.max_length)};
  return tokenizer_->encode_with_offsets(
      {.text = text, .pair = pair == nullptr ? std::nullopt : std::optional<std::string_view>(second)}, how);
}

Result<EncodedInput> TextEncoder::encode(const Json& input) const {
  Encoding encoding = TRY(encode_whole(input));
  if (encoding.ids.empty())
    return fail(ErrorCode::kInvalidArgument, "field 'text': expected some text, got none");
  EncodedInput out;
  out.tokens = std::move(encoding.ids);
  const bool typed =
      std::any_of(encoding.type_ids.begin(), encoding.type_ids.end(), [](int32_t t) { return t != 0; });
  if (typed) out.types = std::move(encoding.type_ids);
  return out;
}

std::string TextEncoder::origin(const Json& input, int64_t i) const {
  const Result<Encoding> encoding = encode_whole(input);
  if (!encoding || i < 0 || i >= std::ssize(encoding->ids)) return {};
  const auto at = static_cast<size_t>(i);
  if (encoding->text_of[at] == kOfNoText) return tokenizer_->token_text(encoding->ids[at]);
  const Json* field = json_find(input, kFields[encoding->text_of[at]]);
  const std::u32string text = to_code_points(prepared(field->get_string()));
  const TextSpan span = encoding->offsets[at];
  return from_code_points(std::u32string_view(text).substr(span.begin, span.end - span.begin));
}

Result<std::vector<InputPart>> TextEncoder::parts(const Json& input) const {
  const Encoding encoding = TRY(encode_whole(input));
  std::array<std::u32string, 2> texts;
  for (size_t i = 0; i < kFields.size(); ++i)
    if (const Json* field = json_find(input, kFields[i]); field != nullptr && field->is_string())
      texts[i] = to_code_points(prepared(field->get_string()));
  struct Word {
    uint8_t of = 0;
    TextSpan span;
    std::vector<size_t> at;
  };
  std::vector<Word> words;
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    const uint8_t of = encoding.text_of[i];
    if (of == kOfNoText) continue;
    const bool goes_on = !words.empty() && words.back().of == of && words.back().at.back() + 1 == i &&
                         continues_word(*tokenizer_, encoding.ids[i]);
    if (!goes_on) words.push_back({of, encoding.offsets[i], {}});
    words.back().span.end = encoding.offsets[i].end;
    words.back().at.push_back(i);
  }
  const size_t together = (words.size() + kMaxInputParts - 1) / kMaxInputParts;
  std::vector<InputPart> parts;
  for (size_t i = 0; i < words.size(); ++i) {
    const Word& word = words[i];
    const std::string name = from_code_points(
        std::u32string_view(texts[word.of]).substr(word.span.begin, word.span.end - word.span.begin));
    if (i % together == 0)
      parts.push_back({.name = name});
    else
      parts.back().name += " " + name;
    parts.back().at.insert(parts.back().at.end(), word.at.begin(), word.at.end());
  }
  return parts;
}

Json TextEncoder::schema() const {
  return JsonObject{{"kind", "text"}, {"pairs", options_.pairs}, {"max_length", options_.max_length}};
}

Json TextEncoder::to_json() const {
  return JsonObject{{"task", "text"},
                    {"version", kEncoderVersion},
                    {"max_length", options_.max_length},
                    {"segment", options_.segment ? "icu" : "none"},
                    {"pairs", options_.pairs}};
}

Status TextEncoder::save(const Path& folder) const {
  TRY(tokenizer_->save(folder));
  if (tokenizer_->algorithm() == "wordpiece") {
    std::string lines;
    for (int32_t id = 0; id < tokenizer_->n_vocab(); ++id) lines += tokenizer_->token_text(id) + "\n";
    TRY(write_file_atomic(folder / "vocab.txt", lines));
  }
  return write_file_atomic(folder / "encoder.json", dump_json_pretty(to_json()));
}

Result<TextOptions> TextEncoder::options_from_json(const Json& json) {
  TextOptions options;
  options.max_length = TRY(json_int(json, "max_length"));
  if (options.max_length < 1 || options.max_length > kMaxLength)
    return fail(ErrorCode::kParse, "expected 'max_length' from 1 to {}, got {}", kMaxLength,
                options.max_length);
  const std::string segment = TRY(json_string_or(json, "segment", "none"));
  if (segment != "none" && segment != "icu")
    return fail(ErrorCode::kParse, "expected 'segment' none or icu, got '{}'", segment);
  options.segment = segment == "icu";
  options.pairs = TRY(json_bool_or(json, "pairs", false));
  return options;
}

Result<std::unique_ptr<TextEncoder>> TextEncoder::load(const Path& folder) {
  const Result<TextOptions> options = options_from_json(TRY(read_encoder_json(folder, "text")));
  if (!options) return Error(options.error()).at((folder / "encoder.json").string());
  return make(TRY(load_tokenizer(folder)), *options);
}

}  // namespace volant
