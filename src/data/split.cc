#include "data/split.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/digest.h"
#include "data/exact_duplicates.h"

namespace volant {

double split_position(std::string_view utf8) {
  const std::string digest = sha256_hex(text_for_digest(utf8));
  // Other digits of the digest than those that exact_duplicates.cc uses as its key;
  // 52 bits fit a double exactly.
  const uint64_t bits = std::strtoull(digest.substr(40, 13).c_str(), nullptr, 16);
  return static_cast<double>(bits) / static_cast<double>(1ULL << 52);
}

const char* split_of(double position, double validation_share, double test_share) {
  if (position < test_share) return "test";
  return position < test_share + validation_share ? "validation" : "train";
}

std::vector<const char*> assign_splits(const std::vector<double>& positions, double validation_share,
                                       double test_share) {
  std::vector<const char*> out;
  for (const double position : positions) out.push_back(split_of(position, validation_share, test_share));
  const auto count = [&](const char* split) {
    return std::count_if(out.begin(), out.end(), [&](const char* s) { return std::strcmp(s, split) == 0; });
  };
  if (!positions.empty() && count("train") == 0) {
    out[static_cast<size_t>(std::max_element(positions.begin(), positions.end()) - positions.begin())] =
        "train";
  }
  for (const char* split : {"validation", "test"}) {
    const double share = std::strcmp(split, "test") == 0 ? test_share : validation_share;
    if (share <= 0 || count(split) > 0 || count("train") < 2) continue;
    size_t nearest = positions.size();
    for (size_t i = 0; i < positions.size(); ++i) {
      if (std::strcmp(out[i], "train") == 0 &&
          (nearest == positions.size() || positions[i] < positions[nearest]))
        nearest = i;
    }
    out[nearest] = split;
  }
  return out;
}

}  // namespace volant
