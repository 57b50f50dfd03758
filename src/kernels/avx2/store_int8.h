// What AVX2 and AVX-512 have in common in rounding to int8. Inlined always: each table is compiled for its
// own instruction set.
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace volant::avx2 {

// 32 int8, and the sum of each 16 of them.
[[gnu::always_inline]] inline void store_with_sums(__m256i bytes, int8_t* out, int32_t* sums) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
  const __m256i eights =
      _mm256_sad_epu8(_mm256_xor_si256(bytes, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
  const __m256i both = _mm256_add_epi64(eights, _mm256_shuffle_epi32(eights, 0x4E));
  sums[0] = _mm256_extract_epi32(both, 0) - 16 * 128;
  sums[1] = _mm256_extract_epi32(both, 4) - 16 * 128;
}

}  // namespace volant::avx2
