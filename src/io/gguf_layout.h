// What reading and writing GGUF share: block sizes, alignment. For the io room only.
#pragma once
#include "io/gguf.h"

namespace volant {

inline constexpr uint32_t kGgufMagic = 0x46554747;  // "GGUF", little-endian
inline constexpr uint64_t kGgufAlignment = 32;      // when general.alignment does not say
inline constexpr uint32_t kMaxGgufRank = 4;

inline bool is_gguf_alignment(uint64_t n) { return n != 0 && n <= 1 << 20 && (n & (n - 1)) == 0; }
inline uint64_t align_up(uint64_t at, uint64_t alignment) {
  return (at + alignment - 1) / alignment * alignment;
}

// Bytes of a tensor; `shape` is row-major, so its last dimension is the one in blocks. kUnsupported for a
// type that is not read here, kParse when the row is no multiple of the block or the product overflows.
Result<uint64_t> gguf_tensor_bytes(GgmlType type, const std::vector<int64_t>& shape);

}  // namespace volant
