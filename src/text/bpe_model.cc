#include "text/bpe_model.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <climits>
#include <cstring>
#include <queue>

#include "text/byte_level.h"
#include "text/spm_model.h"
#include "text/string_table.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace volant {
namespace {

constexpr size_t kMaxShortWord = 48;  // symbols; up to here a scan for the best pair beats a heap
constexpr int32_t kNoId = -1;
constexpr size_t kTableCodePoints = 0x10000;
constexpr size_t kFilterBitsPerMerge = 8;

uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}
uint64_t mix(uint64_t key) {
  key *= 0x9E3779B97F4A7C15ULL;
  return key ^ (key >> 29);
}
bool is_inner(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

Result<BpeModel> BpeModel::build(Parts parts) {
  static std::atomic<uint64_t> next_serial{1};
  BpeModel model;
  model.serial_ = next_serial.fetch_add(1);
  model.characters_ = parts.characters;
  model.ignore_merges_ = parts.ignore_merges;
  model.byte_fallback_ = parts.characters && parts.byte_fallback;
  model.fuse_unk_ = parts.fuse_unk;
  model.unk_ = parts.unk;
  model.n_real_ = std::min(parts.n_real, parts.tokens.size());
  std::vector<std::string> texts(parts.tokens.size());
  for (size_t id = 0; id < texts.size(); ++id)
    texts[id] = parts.characters ? parts.tokens[id] : alphabet_to_bytes(parts.tokens[id]).value_or("");
  model.index_tokens(texts);
  if (Status status = model.add_merges(parts); !status) return std::move(status).error();
  if (!model.characters_) model.find_whole_characters(texts);
  model.merges_ = std::move(parts.merges);
  return model;
}

void BpeModel::index_tokens(const std::vector<std::string>& texts) {
  byte_ids_.fill(kNoId);
  whole_.assign(kTableCodePoints, kNoId);
  n_bytes_.resize(texts.size());
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (size_t id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts[id];
    if (text.empty()) continue;
    n_bytes_[id] = static_cast<uint32_t>(text.size());
    const auto number = static_cast<int32_t>(id);
    if (ignore_merges_ || characters_) keys.emplace_back(text, number);
    if (!characters_) {
      if (text.size() == 1) byte_ids_[static_cast<unsigned char>(text[0])] = number;
      continue;
    }
    if (const int byte = byte_piece_value(text); byte_fallback_ && byte >= 0) {
      byte_ids_[static_cast<size_t>(byte)] = number;
      n_bytes_[id] = 1;
    }
    size_t pos = 0;
    const char32_t c = next_code_point(text, pos);
    if (pos == text.size() && c < kTableCodePoints && whole_[c] == kNoId) whole_[c] = number;
  }
  words_ = ByteTrie(std::move(keys));
  if (byte_fallback_)
    byte_fallback_ = std::none_of(byte_ids_.begin(), byte_ids_.end(), [](int32_t id) { return id == kNoId; });
}

Status BpeModel::add_merges(const Parts& parts) {
  const auto& tokens = parts.tokens;
  const auto& merges = parts.merges;
  const StringTable texts = TRY(StringTable::make(tokens));
  StringIndex ids(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty()) ids.add(texts, static_cast<int32_t>(id));
  table_.resize(
      std::bit_ceil(std::max<size_t>(16, merges.size() + merges.size() / 3)));  // 3 in 4 full at most
  filter_.resize(std::bit_ceil(std::max<size_t>(64, merges.size() * kFilterBitsPerMerge)) / 64);
  filter_mask_ = filter_.size() * 64 - 1;
  std::string joined;
  for (size_t i = 0; i < merges.size(); ++i) {
    const MergePair& pair = merges[i];
    joined = tokens[static_cast<size_t>(pair.left)];
    joined += tokens[static_cast<size_t>(pair.right)];
    const std::optional<int32_t> made = ids.find(texts, joined);
    if (!made)
      return fail(ErrorCode::kParse, "merge {} makes '{}', which is not in the vocabulary", i, joined);
    const int32_t rank = parts.ranks.empty() ? static_cast<int32_t>(i) : parts.ranks[i];
    insert({pair_key(pair.left, pair.right), rank, *made});
  }
  return {};
}

void BpeModel::insert(const Merge& merge) {
  const uint64_t hash = mix(merge.pair);
  filter_[(hash & filter_mask_) / 64] |= 1ULL << (hash % 64);
  const size_t mask = table_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    if (table_[at].pair == merge.pair) return;  // the first one has the lower rank
    if (table_[at].pair != kNoPair) continue;
    table_[at] = merge;
    return;
  }
}

const BpeModel::Merge* BpeModel::find(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right), hash = mix(key);
  if ((filter_[(hash & filter_mask_) / 64] >> (hash % 64) & 1) == 0) return nullptr;
  const size_t mask = table_.size() - 1;
  for (size_t at = hash & mask; table_[at].pair != kNoPair; at = (at + 1) & mask)
    if (table_[at].pair == key) return &table_[at];
  return nullptr;
}

// Merging can begin with a whole character where that changes nothing: its bytes become one token by
// themselves, no merge joins a part of it to a neighbour, and each merge of that token comes after those that
// make it (so that having the token early puts nothing forward).
void BpeModel::find_whole_characters(const std::vector<std::string>& bytes) {
  std::vector<int32_t> made_at(bytes.size(), -1);  // highest rank among the merges that make a character
  std::vector<char32_t> character(bytes.size(), 0);
  std::vector<int32_t> symbols;
  for (size_t id = 0; id < bytes.size(); ++id) {
    const std::string& text = bytes[id];
    if (text.size() < 2 || text.size() > 3 || !is_valid_utf8(text)) continue;
    size_t pos = 0;
    const char32_t c = next_code_point(text, pos);
    if (pos != text.size() || c >= kTableCodePoints) continue;
    symbols.clear();
    for (const char byte : text) symbols.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    int32_t highest = -1;
    while (symbols.size() > 1) {
      const Merge* first = find(symbols[0], symbols[1]);
      const Merge* second = symbols.size() == 3 ? find(symbols[1], symbols[2]) : nullptr;
      const bool take_second = second != nullptr && (first == nullptr || second->rank < first->rank);
      const Merge* best = take_second ? second : first;
      if (best == nullptr) break;
      highest = std::max(highest, best->rank);
      symbols[take_second ? 1 : 0] = best->id;
      symbols.erase(symbols.begin() + (take_second ? 2 : 1));
    }
    if (symbols.size() != 1 || symbols[0] != static_cast<int32_t>(id)) continue;
    whole_[c] = static_cast<int32_t>(id);
    made_at[id] = highest;
    character[id] = c;
  }
  torn_.assign(256 * 256 / 64, 0);
  for (const Merge& merge : table_) {
    if (merge.pair == kNoPair) continue;
    const auto left = static_cast<size_t>(merge.pair >> 32),
               right = static_cast<size_t>(merge.pair & 0xFFFFFFFFU);
    for (const size_t id : {left, right})
      if (made_at[id] >= merge.rank) whole_[character[id]] = kNoId;
    const std::string &a = bytes[left], &b = bytes[right];
    if (a.empty() || b.empty() || is_inner(b[0])) continue;
    if (!is_inner(a[0]) && incomplete_utf8_tail(b) == 0) continue;
    const size_t bit =
        static_cast<size_t>(static_cast<unsigned char>(a.back())) * 256 + static_cast<unsigned char>(b[0]);
    torn_[bit / 64] |= 1ULL << (bit % 64);
  }
}

bool BpeModel::is_torn(char before, char after) const {
  const size_t bit =
      static_cast<size_t>(static_cast<unsigned char>(before)) * 256 + static_cast<unsigned char>(after);
  return (torn_[bit / 64] >> (bit % 64) & 1) != 0;
}

void BpeModel::begin_symbols(std::string_view word, std::vector<int32_t>& symbols) const {
  if (characters_) return begin_characters(word, symbols);
  const auto push_byte = [&](char c) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id != kNoId)
      symbols.push_back(id);
    else if (unk_)
      symbols.push_back(*unk_);
  };
  for (size_t pos = 0; pos < word.size();) {
    const auto lead = static_cast<unsigned char>(word[pos]);
    const size_t n = lead < 0xC0 || lead >= 0xF0 ? 1 : lead < 0xE0 ? 2 : 3;
    if (n > 1 && pos + n <= word.size()) {
      size_t end = pos;
      const char32_t c = next_code_point(word, end);
      const int32_t id = c < kTableCodePoints ? whole_[c] : kNoId;
      if (id != kNoId && end == pos + n && (pos == 0 || !is_torn(word[pos - 1], word[pos])) &&
          (end == word.size() || !is_torn(word[end - 1], word[end]))) {
        symbols.push_back(id);
        pos = end;
        continue;
      }
      for (; pos < end; ++pos) push_byte(word[pos]);
      continue;
    }
    push_byte(word[pos++]);
  }
}

void BpeModel::push_unknown(std::string_view character, std::vector<int32_t>& ids) const {
  if (byte_fallback_) {
    for (const char c : character) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  } else if (unk_ && !(fuse_unk_ && !ids.empty() && ids.back() == *unk_)) {
    ids.push_back(*unk_);
  }
}

void BpeModel::begin_characters(std::string_view word, std::vector<int32_t>& symbols) const {
  for (size_t pos = 0; pos < word.size();) {
    const size_t begin = pos;
    const char32_t c = next_code_point(word, pos);
    const std::string_view character = word.substr(begin, pos - begin);
    int32_t id = kNoId;
    if (c < kTableCodePoints) {
      id = whole_[c];
    } else if (const auto found = words_.longest(character); found && found->n_bytes == character.size()) {
      id = found->value;
    }
    if (id != kNoId)
      symbols.push_back(id);
    else
      push_unknown(character, symbols);
  }
}

void BpeModel::merge_short(std::vector<int32_t>& symbols) const {
  // Rank and result of the merge of each symbol with the next one: a merge changes only those beside it.
  int32_t ranks[kMaxShortWord], results[kMaxShortWord];
  size_t n = symbols.size();
  const auto look = [&](size_t i) {
    const Merge* merge = find(symbols[i], symbols[i + 1]);
    ranks[i] = merge == nullptr ? INT_MAX : merge->rank;
    results[i] = merge == nullptr ? kNoId : merge->id;
  };
  for (size_t i = 0; i + 1 < n; ++i) look(i);
  while (n > 1) {
    size_t where = 0;
    for (size_t i = 1; i + 1 < n; ++i) where = ranks[i] < ranks[where] ? i : where;
    if (ranks[where] == INT_MAX) break;
    symbols[where] = results[where];
    --n;
    for (size_t i = where + 1; i < n; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    if (where > 0) look(where - 1);
    if (where + 1 < n) look(where);
  }
  symbols.resize(n);
}

void BpeModel::merge_long(std::vector<int32_t>& symbols) const {
  struct Link {
    int64_t before, after;
  };
  struct Candidate {
    int32_t rank, id;
    int64_t at;
    int32_t left, right;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  const auto n = static_cast<int64_t>(symbols.size());
  std::vector<Link> links(symbols.size());
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int64_t at, int64_t after) {
    if (at < 0 || after >= n) return;
    const int32_t left = symbols[static_cast<size_t>(at)], right = symbols[static_cast<size_t>(after)];
    if (const Merge* merge = find(left, right)) queue.push({merge->rank, merge->id, at, left, right});
  };
  for (int64_t i = 0; i < n; ++i) {
    links[static_cast<size_t>(i)] = {i - 1, i + 1};
    consider(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Link& link = links[static_cast<size_t>(best.at)];
    if (symbols[static_cast<size_t>(best.at)] != best.left || link.after >= n ||
        symbols[static_cast<size_t>(link.after)] != best.right)
      continue;  // one of the two has been merged meanwhile
    symbols[static_cast<size_t>(best.at)] = best.id;
    symbols[static_cast<size_t>(link.after)] = kNoId;
    link.after = links[static_cast<size_t>(link.after)].after;
    if (link.after < n) links[static_cast<size_t>(link.after)].before = best.at;
    consider(link.before, best.at);
    consider(best.at, link.after);
  }
  std::erase(symbols, kNoId);
}

void BpeModel::replace_stand_ins(std::string_view word, std::vector<int32_t>& ids) const {
  const auto is_real = [this](int32_t id) { return static_cast<size_t>(id) < n_real_; };
  if (std::all_of(ids.begin(), ids.end(), is_real)) return;
  std::vector<int32_t> made;
  size_t pos = 0;
  for (const int32_t id : ids) {
    const size_t n = unk_ && id == *unk_ ? unknown_bytes(word, pos) : n_bytes_[static_cast<size_t>(id)];
    if (is_real(id))
      made.push_back(id);
    else
      push_unknown(word.substr(pos, n), made);
    pos += n;
  }
  ids = std::move(made);
}

void BpeModel::encode_uncached(std::string_view word, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto found = words_.longest(word); found && found->n_bytes == word.size()) {
      ids.push_back(found->value);
      return;
    }
  }
  thread_local std::vector<int32_t> symbols;
  symbols.clear();
  begin_symbols(word, symbols);
  if (symbols.size() <= kMaxShortWord)
    merge_short(symbols);
  else
    merge_long(symbols);
  if (n_real_ < n_bytes_.size()) replace_stand_ins(word, symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void BpeModel::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.size() > WordCache::kMaxBytes) return encode_uncached(word, ids);
  thread_local WordCache cache;
  WordCache::Slot& slot = cache.slot(serial_, word);
  if (slot.holds(serial_, word)) {
    ids.insert(ids.end(), slot.ids, slot.ids + slot.n_ids);
    return;
  }
  const size_t before = ids.size();
  encode_uncached(word, ids);
  slot.keep(serial_, word, ids.data() + before, ids.size() - before);
}

// Bytes of the characters from `pos` that one unknown token stands for.
size_t BpeModel::unknown_bytes(std::string_view word, size_t pos) const {
  if (!characters_) return 1;
  size_t end = pos;
  std::vector<int32_t> symbols;
  while (end < word.size()) {
    size_t after = end;
    next_code_point(word, after);
    symbols.clear();
    begin_characters(word.substr(end, after - end), symbols);
    const bool known = symbols.empty() || !unk_ || symbols[0] != *unk_;
    const bool stands_in = !symbols.empty() && static_cast<size_t>(symbols[0]) >= n_real_;
    if (known && !stands_in) break;
    end = after;
    if (!fuse_unk_) break;
  }
  return end == pos ? word.size() - pos : end - pos;
}

void BpeModel::locate(std::string_view word, std::vector<WordToken>& tokens) const {
  std::vector<int32_t> ids;
  encode(word, ids);
  size_t pos = 0;
  for (const int32_t id : ids) {
    const size_t n = unk_ && id == *unk_ ? unknown_bytes(word, pos) : n_bytes_[static_cast<size_t>(id)];
    const size_t end = std::min(word.size(), pos + n);
    tokens.push_back({id, pos, end});
    pos = end;
  }
}

}  // namespace volant
