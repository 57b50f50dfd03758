#include "data/near_duplicates.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/digest.h"
#include "base/random.h"
#include "text/unicode.h"

namespace volant {
namespace {

constexpr size_t kHanShingle = 3;   // characters
constexpr size_t kWordShingle = 2;  // words
constexpr size_t kMaxBucket =
    256;  // texts that are looked at in one bucket: bounds the work on hostile input

// A word, a Chinese character or a sign of arithmetic: what shingles are made of.
struct Token {
  uint64_t hash;
  bool han;
};

// Signs that carry meaning by themselves: "3 + 4" is not "3 - 4".
bool is_sign(const std::u32string& s, size_t i) {
  const char32_t c = s[i];
  if (c == '-') return i > 0 && i + 1 < s.size() && s[i - 1] == ' ' && s[i + 1] == ' ';
  return c == '+' || c == '*' || c == '/' || c == '=' || c == '<' || c == '>' || c == '%' || c == '$' ||
         (c > 0x7F && u_charType(static_cast<UChar32>(c)) == U_MATH_SYMBOL);
}

std::vector<Token> tokens_of(std::string_view utf8) {
  const std::u32string s = to_code_points(utf8);
  std::vector<Token> tokens;
  std::u32string word;
  const auto end_word = [&] {
    if (!word.empty()) {
      tokens.push_back(
          {hash64({reinterpret_cast<const char*>(word.data()), word.size() * sizeof(char32_t)}), false});
    }
    word.clear();
  };
  for (size_t i = 0; i < s.size(); ++i) {
    const char32_t c = s[i];
    if (is_han(c) || is_sign(s, i)) {
      end_word();
      tokens.push_back({hash64({reinterpret_cast<const char*>(&c), sizeof c}), is_han(c)});
    } else if (u_isalnum(static_cast<UChar32>(c)) || u_getCombiningClass(static_cast<UChar32>(c)) != 0) {
      word.push_back(static_cast<char32_t>(u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT)));
    } else if (c != '\'' && c != 0x2019) {  // "don't" is one word however its apostrophe is typed
      end_word();
    }
  }
  end_word();
  return tokens;
}

// Odd multipliers and addends of the hash functions h(x) = high half of a * x + b: the same on every machine.
struct HashFunctions {
  std::vector<uint64_t> a, b;
  HashFunctions() {
    Random random(0x6d696e68617368);  // any fixed number
    for (int i = 0; i < kMinHashSize; ++i) {
      a.push_back(random.next() | 1);
      b.push_back(random.next());
    }
  }
};

// The most rows a band can have so that texts at the threshold are missed at most once in a thousand.
int band_rows_for(double threshold) {
  for (int rows = 16; rows > 1; --rows) {
    const int bands = kMinHashSize / rows;
    if (std::pow(1 - std::pow(threshold, rows), bands) <= 1e-3) return rows;
  }
  return 1;
}

}  // namespace

std::vector<uint64_t> shingles_of(std::string_view utf8) {
  const std::vector<Token> tokens = tokens_of(utf8);
  std::vector<uint64_t> out;
  out.reserve(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const size_t size = tokens[i].han ? kHanShingle : kWordShingle;
    if (i + size > tokens.size() && i > 0) break;
    uint64_t hash = 0;
    for (size_t k = i; k < std::min(i + size, tokens.size()); ++k) {
      hash = hash64({reinterpret_cast<const char*>(&tokens[k].hash), sizeof(uint64_t)}, hash);
    }
    out.push_back(hash);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  if (a.empty() && b.empty()) return 1;
  size_t i = 0, k = 0, both = 0;
  while (i < a.size() && k < b.size()) {
    if (a[i] == b[k]) {
      ++both, ++i, ++k;
    } else if (a[i] < b[k]) {
      ++i;
    } else {
      ++k;
    }
  }
  return static_cast<double>(both) / static_cast<double>(a.size() + b.size() - both);
}

MinHash min_hash(const std::vector<uint64_t>& shingles) {
  static const HashFunctions functions;
  MinHash out(kMinHashSize, std::numeric_limits<uint32_t>::max());
  for (const uint64_t shingle : shingles) {
    for (int i = 0; i < kMinHashSize; ++i) {
      const auto value = static_cast<uint32_t>((functions.a[i] * shingle + functions.b[i]) >> 32);
      out[i] = std::min(out[i], value);
    }
  }
  return out;
}

NearDuplicateIndex::NearDuplicateIndex(double threshold, std::function<std::string(uint64_t)> text_of)
    : threshold_(threshold),
      band_rows_(band_rows_for(threshold)),
      text_of_(std::move(text_of)),
      bands_(static_cast<size_t>(kMinHashSize / band_rows_)) {}

// The slot of `tag`, or the free one where it belongs.
size_t NearDuplicateIndex::Band::place_of(const std::vector<Slot>& slots, uint32_t tag) {
  size_t at = tag & (slots.size() - 1);
  while (slots[at].newest != 0 && slots[at].tag != tag) at = (at + 1) & (slots.size() - 1);
  return at;
}

uint32_t NearDuplicateIndex::Band::newest(uint32_t tag) const {
  return slots_.empty() ? 0 : slots_[place_of(slots_, tag)].newest;
}

void NearDuplicateIndex::Band::add(uint32_t tag, uint32_t text) {
  if (3 * used_ >= 2 * slots_.size()) {
    std::vector<Slot> larger(std::max<size_t>(64, 2 * slots_.size()));
    for (const Slot& slot : slots_) {
      if (slot.newest != 0) larger[place_of(larger, slot.tag)] = slot;
    }
    slots_ = std::move(larger);
  }
  Slot& slot = slots_[place_of(slots_, tag)];
  used_ += slot.newest == 0;
  older_.push_back(slot.newest);
  slot = {tag, text};
}

std::vector<uint32_t> NearDuplicateIndex::candidates_of(const std::vector<uint32_t>& tags) const {
  std::vector<uint32_t> out;
  for (size_t band = 0; band < bands_.size(); ++band) {
    uint32_t text = bands_[band].newest(tags[band]);
    for (size_t n = 0; text != 0 && n < kMaxBucket; ++n, text = bands_[band].older(text)) out.push_back(text);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

double NearDuplicateIndex::estimate(size_t entry, const MinHash& signature) const {
  const uint16_t* own = &signatures_[entry * kMinHashSize];
  int equal = 0;
  for (size_t i = 0; i < kMinHashSize; ++i) equal += own[i] == static_cast<uint16_t>(signature[i]);
  return static_cast<double>(equal) / kMinHashSize;
}

std::optional<NearDuplicate> NearDuplicateIndex::add(uint64_t n, const std::vector<uint64_t>& shingles,
                                                     const MinHash& signature) {
  if (shingles.empty()) return std::nullopt;  // nothing to compare
  std::vector<uint32_t> tags;
  for (size_t band = 0; band < bands_.size(); ++band) {
    const size_t size = sizeof(uint32_t) * static_cast<size_t>(band_rows_);
    tags.push_back(static_cast<uint32_t>(
        hash64({reinterpret_cast<const char*>(signature.data()) + band * size, size}, band)));
  }
  // Three standard deviations of the estimate below the threshold:
  // what is less similar than that is not looked at.
  const double margin = 3 * std::sqrt(threshold_ * (1 - threshold_) / kMinHashSize);
  for (const uint32_t candidate : candidates_of(tags)) {
    const size_t entry = candidate - 1;
    const double a = sizes_[entry], b = static_cast<double>(shingles.size());
    if (std::min(a, b) < threshold_ * std::max(a, b) || estimate(entry, signature) < threshold_ - margin)
      continue;
    const double similarity = jaccard(shingles_of(text_of_(numbers_[entry])), shingles);
    if (similarity >= threshold_) return NearDuplicate{numbers_[entry], similarity};
  }

  numbers_.push_back(n);
  sizes_.push_back(static_cast<uint32_t>(shingles.size()));
  for (const uint32_t value : signature) signatures_.push_back(static_cast<uint16_t>(value));
  for (size_t band = 0; band < bands_.size(); ++band)
    bands_[band].add(tags[band], static_cast<uint32_t>(numbers_.size()));
  return std::nullopt;
}

}  // namespace volant
