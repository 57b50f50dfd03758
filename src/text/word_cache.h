// Words seen before and their ids: natural text repeats them. Direct mapped, so it never grows. One a thread.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace volant {

struct WordCache {
  static constexpr size_t kSlots = 1U << 14;
  static constexpr size_t kMaxBytes = 24, kMaxIds = 6;
  struct Slot {
    uint64_t serial = 0;  // of the model; 0: empty
    uint8_t n_bytes = 0, n_ids = 0;
    char bytes[kMaxBytes] = {};
    int32_t ids[kMaxIds] = {};

    bool holds(uint64_t model, std::string_view word) const {
      return serial == model && n_bytes == word.size() && std::memcmp(bytes, word.data(), word.size()) == 0;
    }
    void keep(uint64_t model, std::string_view word, const int32_t* made, size_t n) {
      if (n > kMaxIds) return;
      serial = model;
      n_bytes = static_cast<uint8_t>(word.size());
      n_ids = static_cast<uint8_t>(n);
      std::memcpy(bytes, word.data(), word.size());
      if (n > 0) std::memcpy(ids, made, n * sizeof(int32_t));
    }
  };
  // Where a word of at most kMaxBytes would be.
  Slot& slot(uint64_t model, std::string_view word) {
    uint64_t hash = model + word.size();
    for (size_t i = 0; i < word.size(); i += 8) {
      uint64_t part = 0;
      std::memcpy(&part, word.data() + i, std::min<size_t>(8, word.size() - i));
      hash = (hash ^ part) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 29;
    }
    return slots[(hash >> 13) & (kSlots - 1)];
  }
  std::vector<Slot> slots{kSlots};
};

}  // namespace volant
