// What training adds to the embeddings of a batch's tokens, in parts of the root mean square of the
// embeddings' numbers of the same text: a direction found by an attack, and noise.
#pragma once
#include <cstdint>
#include <span>

namespace volant {

struct EmbeddingShift {
  std::span<const float> direction = {};  // [rows from the first on, width], or none
  float noise = 0;                        // deviation of normal noise
  uint64_t seed = 0;                      // of the noise
};

}  // namespace volant
