// Texts by number in one piece of memory, and the way back from a text to its number: what a large vocabulary
// needs, in a fifth of the memory of strings and a map of strings. The table is immutable.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace volant {

class StringTable {
 public:
  StringTable() = default;
  // kLimit when the texts have 4 GiB together.
  static Result<StringTable> make(std::span<const std::string> texts);

  size_t size() const { return ends_.size(); }
  // `number`: below size(). Valid as long as the table, also when that is moved.
  std::string_view operator[](size_t number) const {
    const uint32_t begin = number == 0 ? 0 : ends_[number - 1];
    return {bytes_.data() + begin, ends_[number] - begin};
  }

 private:
  std::vector<char> bytes_;
  std::vector<uint32_t> ends_;  // of each text in bytes_
};

// Numbers of a table by their texts (open addressing). Every call gets the same table, of at most 2^31 - 1
// texts.
class StringIndex {
 public:
  StringIndex() = default;
  explicit StringIndex(size_t n_texts);  // that will be added at most

  // Unless its text has a number already.
  void add(const StringTable& table, int32_t number);
  // In place of the number that its text had.
  void replace(const StringTable& table, int32_t number);
  std::optional<int32_t> find(const StringTable& table, std::string_view text) const;

 private:
  static constexpr int32_t kFree = -1;
  // Where the text's number is, or would be.
  size_t slot(const StringTable& table, std::string_view text) const;
  std::vector<int32_t> slots_;  // a power of two of them, a quarter of them free at least; or none
};

}  // namespace volant
