#include "text/bpe_model.h"

#include <atomic>
#include <bit>
#include <cstring>
#include <queue>

#include "text/byte_level.h"

namespace volant {
namespace {

constexpr size_t kMaxShortWord = 48;  // bytes; up to here a scan for the best pair beats a heap
constexpr int32_t kNoId = -1;

uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}
uint64_t mix(uint64_t key) {
  key *= 0x9E3779B97F4A7C15ULL;
  return key ^ (key >> 29);
}

// Words seen before, per thread: natural text repeats them. Direct mapped, so it never grows.
struct WordCache {
  static constexpr size_t kSlots = 1U << 14;
  static constexpr size_t kMaxBytes = 24, kMaxIds = 6;
  struct Slot {
    uint64_t serial = 0;
    uint8_t n_bytes = 0, n_ids = 0;
    char bytes[kMaxBytes] = {};
    int32_t ids[kMaxIds] = {};
  };
  std::vector<Slot> slots{kSlots};
  Slot& slot(uint64_t serial, std::string_view word) {
    uint64_t hash = serial + word.size();
    for (size_t i = 0; i < word.size(); i += 8) {
      uint64_t part = 0;
      std::memcpy(&part, word.data() + i, std::min<size_t>(8, word.size() - i));
      hash = mix(hash ^ part);
    }
    return slots[(hash >> 13) & (kSlots - 1)];
  }
};

}  // namespace

Result<BpeModel> BpeModel::build(const std::vector<std::string>& tokens, std::vector<MergePair> merges,
                                 bool ignore_merges, std::optional<int32_t> unk) {
  static std::atomic<uint64_t> next_serial{1};
  BpeModel model;
  model.serial_ = next_serial.fetch_add(1);
  model.ignore_merges_ = ignore_merges;
  model.unk_ = unk;
  model.byte_ids_.fill(kNoId);
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty()) ids.emplace(tokens[id], static_cast<int32_t>(id));
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(byte_character(static_cast<unsigned char>(byte)));
    if (found != ids.end()) model.byte_ids_[byte] = found->second;
  }
  if (ignore_merges) {
    for (const auto& [text, id] : ids)
      if (auto bytes = alphabet_to_bytes(text)) model.words_.emplace(std::move(*bytes), id);
  }
  model.table_.resize(std::bit_ceil(std::max<size_t>(16, merges.size() * 2)));
  std::string joined;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const MergePair& merge = merges[rank];
    joined = tokens[static_cast<size_t>(merge.left)];
    joined += tokens[static_cast<size_t>(merge.right)];
    const auto found = ids.find(joined);
    if (found == ids.end())
      return fail(ErrorCode::kParse, "merge {} gives '{}', which is not in the vocabulary", rank, joined);
    model.insert({pair_key(merge.left, merge.right), static_cast<int32_t>(rank), found->second});
  }
  model.merges_ = std::move(merges);
  return model;
}

void BpeModel::insert(const Merge& merge) {
  const size_t mask = table_.size() - 1;
  size_t at = mix(merge.pair) & mask;
  while (table_[at].pair != kNoPair && table_[at].pair != merge.pair) at = (at + 1) & mask;
  table_[at] = merge;  // a pair listed twice: the last one counts, as in the original library
}

const BpeModel::Merge* BpeModel::find(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  const size_t mask = table_.size() - 1;
  for (size_t at = mix(key) & mask; table_[at].pair != kNoPair; at = (at + 1) & mask)
    if (table_[at].pair == key) return &table_[at];
  return nullptr;
}

void BpeModel::merge_short(std::vector<int32_t>& symbols) const {
  // The merge of each pair of neighbours, kept up to date: a merge changes only the pairs beside it.
  const Merge* pairs[kMaxShortWord] = {};
  size_t n = symbols.size();
  for (size_t i = 0; i + 1 < n; ++i) pairs[i] = find(symbols[i], symbols[i + 1]);
  while (n > 1) {
    const Merge* best = nullptr;
    size_t where = 0;
    for (size_t i = 0; i + 1 < n; ++i) {
      if (pairs[i] != nullptr && (best == nullptr || pairs[i]->rank < best->rank)) {
        best = pairs[i];
        where = i;
      }
    }
    if (best == nullptr) break;
    symbols[where] = best->id;
    --n;
    for (size_t i = where + 1; i < n; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i] = pairs[i + 1];
    }
    if (where > 0) pairs[where - 1] = find(symbols[where - 1], symbols[where]);
    if (where + 1 < n) pairs[where] = find(symbols[where], symbols[where + 1]);
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

void BpeModel::encode_uncached(std::string_view bytes, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto found = words_.find(std::string(bytes)); found != words_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  std::vector<int32_t> symbols;
  symbols.reserve(bytes.size());
  for (const char c : bytes) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    if (id != kNoId)
      symbols.push_back(id);
    else if (unk_)
      symbols.push_back(*unk_);
  }
  if (symbols.size() <= kMaxShortWord)
    merge_short(symbols);
  else
    merge_long(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void BpeModel::encode_word(std::string_view bytes, std::vector<int32_t>& ids) const {
  if (bytes.size() > WordCache::kMaxBytes) return encode_uncached(bytes, ids);
  thread_local WordCache cache;
  WordCache::Slot& slot = cache.slot(serial_, bytes);
  if (slot.serial == serial_ && slot.n_bytes == bytes.size() &&
      std::memcmp(slot.bytes, bytes.data(), bytes.size()) == 0) {
    ids.insert(ids.end(), slot.ids, slot.ids + slot.n_ids);
    return;
  }
  const size_t before = ids.size();
  encode_uncached(bytes, ids);
  const size_t n = ids.size() - before;
  if (n > WordCache::kMaxIds) return;
  slot.serial = serial_;
  slot.n_bytes = static_cast<uint8_t>(bytes.size());
  slot.n_ids = static_cast<uint8_t>(n);
  std::memcpy(slot.bytes, bytes.data(), bytes.size());
  if (n > 0) std::memcpy(slot.ids, ids.data() + before, n * sizeof(int32_t));
}

}  // namespace volant
