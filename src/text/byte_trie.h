// A trie over bytes in two arrays (a double array): from keys to numbers, walked in constant time a byte.
// Used for the pieces of vocabularies. Immutable.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace volant {

class ByteTrie {
 public:
  ByteTrie() : ByteTrie(std::vector<std::pair<std::string_view, int32_t>>{}) {}
  // Of a key given twice the first value counts. Values are not negative. Keys are not empty.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> keys);

  static constexpr int32_t kNone = -1;
  static constexpr uint32_t kRoot = 1;
  // The node after `byte`; 0 when no key goes on so.
  uint32_t step(uint32_t node, char byte) const {
    const uint32_t at = nodes_[node].base + static_cast<unsigned char>(byte);
    return nodes_[at].parent == node ? at : 0;
  }
  // The value of the key that ends at `node`, or kNone.
  int32_t value(uint32_t node) const { return nodes_[node].value; }

  struct Match {
    int32_t value;
    size_t n_bytes;
  };
  // The longest key that `text` begins with.
  std::optional<Match> longest(std::string_view text) const;

 private:
  struct Node {
    uint32_t base = 0, parent = 0;
    int32_t value = kNone;
  };
  std::vector<Node> nodes_;
};

}  // namespace volant
