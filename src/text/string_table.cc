#include "text/string_table.h"

#include <bit>
#include <functional>

namespace volant {

Result<StringTable> StringTable::make(std::span<const std::string> texts) {
  size_t n_bytes = 0;
  for (const std::string& text : texts) n_bytes += text.size();
  if (n_bytes > UINT32_MAX)
    return fail(ErrorCode::kLimit, "{} texts have {} bytes, expected less than 4 GiB", texts.size(), n_bytes);
  StringTable table;
  table.bytes_.reserve(n_bytes);
  table.ends_.reserve(texts.size());
  for (const std::string& text : texts) {
    table.bytes_.insert(table.bytes_.end(), text.begin(), text.end());
    table.ends_.push_back(static_cast<uint32_t>(table.bytes_.size()));
  }
  return table;
}

StringIndex::StringIndex(size_t n_texts) : slots_(std::bit_ceil(n_texts + n_texts / 3 + 1), kFree) {}

size_t StringIndex::slot(const StringTable& table, std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t at = std::hash<std::string_view>()(text) & mask;
  while (slots_[at] != kFree && table[static_cast<size_t>(slots_[at])] != text) at = (at + 1) & mask;
  return at;
}

void StringIndex::add(const StringTable& table, int32_t number) {
  int32_t& held = slots_[slot(table, table[static_cast<size_t>(number)])];
  if (held == kFree) held = number;
}

void StringIndex::replace(const StringTable& table, int32_t number) {
  slots_[slot(table, table[static_cast<size_t>(number)])] = number;
}

std::optional<int32_t> StringIndex::find(const StringTable& table, std::string_view text) const {
  if (slots_.empty()) return std::nullopt;
  const int32_t number = slots_[slot(table, text)];
  return number == kFree ? std::nullopt : std::optional(number);
}

}  // namespace volant
