#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kMaxContentBytes = 4096;

bool is_word_character(char32_t c) { return c == '_' || is_letter(c) || is_number(c); }

bool word_before(std::string_view text, size_t pos) {
  size_t begin = pos;
  while (begin > 0 && (static_cast<unsigned char>(text[--begin]) & 0xC0) == 0x80) {
  }
  return pos > 0 && is_word_character(next_code_point(text, begin));
}
bool word_after(std::string_view text, size_t pos) {
  return pos < text.size() && is_word_character(next_code_point(text, pos));
}
// Where the blanks that end at `pos` begin, not before `limit`.
size_t blanks_before(std::string_view text, size_t pos, size_t limit) {
  while (pos > limit) {
    size_t begin = pos;
    while (begin > limit && (static_cast<unsigned char>(text[--begin]) & 0xC0) == 0x80) {
    }
    size_t end = begin;
    if (!is_white_space(next_code_point(text, end))) break;
    pos = begin;
  }
  return pos;
}
size_t blanks_after(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    size_t end = pos;
    if (!is_white_space(next_code_point(text, end))) break;
    pos = end;
  }
  return pos;
}

}  // namespace

Result<AddedToken> parse_added_token(const Json& row, std::optional<int32_t> id) {
  AddedToken token;
  const int64_t number = id ? int64_t{*id} : TRY(json_int(row, "id"));
  if (number < 0 || number > INT32_MAX)
    return fail(ErrorCode::kParse, "expected an added token's id from 0 to {}, got {}", INT32_MAX, number);
  token.id = static_cast<int32_t>(number);
  token.content = TRY(json_string(row, "content"));
  if (token.content.empty() || token.content.size() > kMaxContentBytes)
    return fail(ErrorCode::kParse, "expected 1 to {} bytes in added token {}, got {}", kMaxContentBytes,
                token.id, token.content.size());
  token.special = TRY(json_bool_or(row, "special", false));
  token.lstrip = TRY(json_bool_or(row, "lstrip", false));
  token.rstrip = TRY(json_bool_or(row, "rstrip", false));
  token.single_word = TRY(json_bool_or(row, "single_word", false));
  token.normalized = TRY(json_bool_or(row, "normalized", !token.special));
  return token;
}

JsonObject to_json(const AddedToken& token) {
  return {{"id", token.id},          {"content", token.content}, {"single_word", token.single_word},
          {"lstrip", token.lstrip},  {"rstrip", token.rstrip},   {"normalized", token.normalized},
          {"special", token.special}};
}

void AddedTokens::Trie::add(std::string_view key, int32_t token) {
  if (key.empty()) return;
  if (nodes.empty()) nodes.emplace_back();
  first[static_cast<unsigned char>(key[0])] = true;
  uint32_t at = 0;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    auto& next = nodes[at].next;
    const auto found = std::lower_bound(next.begin(), next.end(), byte,
                                        [](const auto& edge, unsigned char b) { return edge.first < b; });
    if (found != next.end() && found->first == byte) {
      at = found->second;
    } else {
      const auto fresh = static_cast<uint32_t>(nodes.size());
      next.insert(found, {byte, fresh});
      nodes.emplace_back();
      at = fresh;
    }
  }
  if (nodes[at].token < 0) nodes[at].token = token;
}

std::pair<int32_t, size_t> AddedTokens::Trie::longest(std::string_view text, size_t pos) const {
  std::pair<int32_t, size_t> best{-1, 0};
  uint32_t at = 0;
  for (size_t i = pos; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto& next = nodes[at].next;
    const auto found = std::lower_bound(next.begin(), next.end(), byte,
                                        [](const auto& edge, unsigned char b) { return edge.first < b; });
    if (found == next.end() || found->first != byte) break;
    at = found->second;
    if (nodes[at].token >= 0) best = {nodes[at].token, i + 1 - pos};
  }
  return best;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens,
                         const std::function<std::string(std::string_view)>& normalize)
    : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    if (token.normalized)
      tries_[1].add(normalize(token.content), static_cast<int32_t>(i));
    else
      tries_[0].add(token.content, static_cast<int32_t>(i));
  }
}

std::vector<AddedTokens::Segment> AddedTokens::split(std::string_view text, Pass pass) const {
  const Trie& trie = tries_[static_cast<size_t>(pass)];
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t pos = 0; !trie.nodes.empty() && pos < text.size();) {
    if (!trie.first[static_cast<unsigned char>(text[pos])]) {
      ++pos;
      continue;
    }
    const auto [index, length] = trie.longest(text, pos);
    if (index < 0) {
      ++pos;
      continue;
    }
    size_t begin = pos, end = pos + length;
    pos = end;
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (begin < done) continue;  // swallowed by the blanks of the one before
    if (token.lstrip) begin = blanks_before(text, begin, done);
    if (token.rstrip) end = blanks_after(text, end);
    if (begin > done) segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token.id});
    done = end;
    pos = std::max(pos, end);
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

}  // namespace volant
