// Tokenizer's door to ids with offsets: one code for every kind.
#include <algorithm>

#include "text/tokenizer.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxTextBytes = 1ULL << 30;

// For each byte of a text, how many characters begin before it; one more entry for its end.
std::vector<uint32_t> characters_before(std::string_view text) {
  std::vector<uint32_t> counts(text.size() + 1);
  uint32_t n = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    counts[i] = n;
    if (i + 1 == text.size() || (static_cast<unsigned char>(text[i + 1]) & 0xC0) != 0x80) ++n;
  }
  counts[text.size()] = n;
  return counts;
}

}  // namespace

Encoding Tokenizer::encode_one(std::string_view text, bool parse_special, uint8_t which) const {
  const std::string valid = to_valid_utf8(text);
  std::vector<WordToken> tokens;
  locate(valid, parse_special, tokens);
  const std::vector<uint32_t> before = characters_before(valid);
  Encoding out;
  const size_t n = tokens.size();
  out.type_ids.assign(n, 0);
  out.attention.assign(n, 1);
  out.special.assign(n, 0);
  out.text_of.assign(n, which);
  for (const WordToken& token : tokens) {
    out.ids.push_back(token.id);
    // A token that ends inside a character has all of it.
    uint32_t end = before[token.end];
    if (token.end < valid.size() && (static_cast<unsigned char>(valid[token.end]) & 0xC0) == 0x80) ++end;
    out.offsets.push_back({before[token.begin], end});
  }
  post_processor().trim_offsets(out, [&](size_t i) {
    const WordToken& token = tokens[i];
    return token.added ? valid.substr(token.begin, token.end - token.begin) : token_text(token.id);
  });
  return out;
}

Result<Encoding> Tokenizer::encode_with_offsets(const TextPair& text, const EncodingOptions& options) const {
  if (text.text.size() > kMaxTextBytes || (text.pair && text.pair->size() > kMaxTextBytes))
    return fail(ErrorCode::kLimit, "expected texts of at most {} bytes", kMaxTextBytes);
  Encoding first = encode_one(text.text, options.parse_special, 0);
  std::optional<Encoding> second;
  if (text.pair) second = encode_one(*text.pair, options.parse_special, 1);
  Encoding* other = second ? &*second : nullptr;
  if (options.truncation) {
    const size_t n_added = options.add_special ? post_processor().n_added(second.has_value()) : 0;
    if (Status status = truncate(first, other, n_added, *options.truncation); !status)
      return std::move(status).error();
  }
  Encoding out = post_processor().join(first, other, options.add_special);
  if (options.padding) pad({&out, 1}, *options.padding);
  return out;
}

Result<std::vector<Encoding>> Tokenizer::encode_batch(std::span<const TextPair> texts,
                                                      const EncodingOptions& options) const {
  EncodingOptions unpadded = options;
  unpadded.padding.reset();
  std::vector<Encoding> out;
  out.reserve(texts.size());
  for (const TextPair& text : texts) out.push_back(TRY(encode_with_offsets(text, unpadded)));
  if (options.padding) pad(out, *options.padding);
  return out;
}

}  // namespace volant
