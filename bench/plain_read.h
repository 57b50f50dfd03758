// What the machine's memory gives: plain reads of one large region in large pages, all threads at once, each
// thread its own part from end to end. The limit that products of one row are held against.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/thread_pool.h"

namespace volant {

// Of n numbers.
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
inline uint64_t
read_all(const uint64_t* p, size_t n) {
  uint64_t sum[32] = {};
  for (size_t i = 0; i + 32 <= n; i += 32) {
    for (size_t j = 0; j < 32; ++j) sum[j] ^= p[i + j];
  }
  uint64_t all = 0;
  for (const uint64_t each : sum) all ^= each;
  return all;
}

// Reads `bytes` from `data` on once, a multiple of 64 * 256.
inline void read_plainly(ThreadPool& pool, const std::byte* data, size_t bytes) {
  const size_t part = bytes / 64;
  pool.parallel_for(64, 1, [&](int64_t begin, int64_t end) {
    volatile uint64_t keep =
        read_all(reinterpret_cast<const uint64_t*>(data + static_cast<size_t>(begin) * part),
                 part * static_cast<size_t>(end - begin) / 8);
    (void)keep;
  });
}

// Reads all of these, one after the other; `bytes` is their sum.
inline void read_plainly(ThreadPool& pool, std::span<const std::span<const std::byte>> parts, size_t bytes) {
  pool.parallel_for(64, 1, [&](int64_t begin, int64_t end) {
    const size_t first = bytes * static_cast<size_t>(begin) / 64 / 64 * 64,
                 last = bytes * static_cast<size_t>(end) / 64 / 64 * 64;
    size_t at = 0;
    for (const auto& part : parts) {
      const size_t from = std::max(first, at), to = std::min(last, at + part.size());
      if (from < to) {
        volatile uint64_t keep =
            read_all(reinterpret_cast<const uint64_t*>(part.data() + (from - at) / 64 * 64), (to - from) / 8);
        (void)keep;
      }
      at += part.size();
    }
  });
}

}  // namespace volant
