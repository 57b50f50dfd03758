#include "text/byte_trie.h"

#include <algorithm>

namespace volant {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> keys) {
  std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  keys.erase(
      std::unique(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
      keys.end());
  nodes_.resize(512 + 2);
  // Keys [begin, end) share their first `depth` bytes and end up in `node`.
  struct Range {
    uint32_t node;
    size_t begin, end, depth;
  };
  std::vector<Range> todo{{kRoot, 0, keys.size(), 0}};
  std::vector<std::pair<unsigned char, size_t>> children;  // byte, first key
  uint32_t first_free = 2, used_end = 2;
  while (!todo.empty()) {
    Range range = todo.back();
    todo.pop_back();
    if (range.begin < range.end && keys[range.begin].first.size() == range.depth)
      nodes_[range.node].value = keys[range.begin++].second;
    if (range.begin == range.end) continue;
    children.clear();
    for (size_t i = range.begin; i < range.end; ++i) {
      const auto byte = static_cast<unsigned char>(keys[i].first[range.depth]);
      if (children.empty() || children.back().first != byte) children.emplace_back(byte, i);
    }
    // The first place where all children are free; nodes 0 and 1 are taken.
    while (first_free < nodes_.size() && nodes_[first_free].parent != 0) ++first_free;
    const uint32_t lowest = children.front().first;
    uint32_t base = first_free > lowest ? first_free - lowest : 2;
    const auto fits = [&](uint32_t at) {
      return std::all_of(children.begin(), children.end(), [&](const auto& child) {
        const uint32_t slot = at + child.first;
        return slot >= 2 && (slot >= nodes_.size() || nodes_[slot].parent == 0);
      });
    };
    int tries = 0;
    while (!fits(base)) {
      ++base;
      // A crowded beginning is left alone: looking there again and again would be slow.
      if (++tries > 4096) base = std::max(base, used_end);
    }
    if (tries > 512) first_free = std::max(first_free, base);
    if (base + 512 > nodes_.size()) nodes_.resize(base + 512 + nodes_.size() / 2);
    nodes_[range.node].base = base;
    for (size_t i = 0; i < children.size(); ++i) {
      const uint32_t slot = base + children[i].first;
      nodes_[slot].parent = range.node;
      used_end = std::max(used_end, slot + 1);
      const size_t end = i + 1 < children.size() ? children[i + 1].second : range.end;
      todo.push_back({slot, children[i].second, end, range.depth + 1});
    }
  }
}

std::optional<ByteTrie::Match> ByteTrie::longest(std::string_view text) const {
  std::optional<Match> best;
  uint32_t node = kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = step(node, text[i]);
    if (node == 0) break;
    if (value(node) != kNone) best = Match{value(node), i + 1};
  }
  return best;
}

}  // namespace volant
