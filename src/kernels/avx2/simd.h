// AVX2 with FMA and F16C as the vector type that the kernels in simd/ are written in.
// Used by avx2/table.cc alone.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "kernels/avx2/store_int8.h"

namespace volant::avx2 {

struct Simd {
  using V = __m256;   // numbers
  using I = __m256i;  // int32
  static constexpr int kLanes = 8;
  static constexpr int kMaxAccumulators = 12;  // vectors that a tile may sum in: 16 registers

  static V zero() { return _mm256_setzero_ps(); }
  static V set1(float x) { return _mm256_set1_ps(x); }
  static V load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static __m256i lanes_below(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
  static V load_part(const float* p, int64_t n) { return _mm256_maskload_ps(p, lanes_below(n)); }
  static void store_part(float* p, V v, int64_t n) { _mm256_maskstore_ps(p, lanes_below(n), v); }
  static V load_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }

  static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm256_add_ps(a, b); }
  static V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static V div(V a, V b) { return _mm256_div_ps(a, b); }
  static V max(V a, V b) { return _mm256_max_ps(a, b); }
  static V min(V a, V b) { return _mm256_min_ps(a, b); }
  static V abs(V a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
  static V round(V a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // `value` where x >= limit, else 0.
  static V keep_from(V value, V x, V limit) {
    return _mm256_and_ps(value, _mm256_cmp_ps(x, limit, _CMP_GE_OQ));
  }
  // 2^n of whole n in [-126, 127].
  static V pow2(V n) {
    const __m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23));
  }
  static float sum(V v) {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
  }
  static float largest(V v) {
    const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
  }

  // Bytes in bulk.
  static I load_bytes(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void store_bytes(uint8_t* p, I v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static I set1_byte(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
  static I set1_int(int32_t x) { return _mm256_set1_epi32(x); }
  static I bit_and(I a, I b) { return _mm256_and_si256(a, b); }
  static I bit_or(I a, I b) { return _mm256_or_si256(a, b); }
  template <int n>  // of 16-bit lanes, to the left
  static I shift(I v) {
    if constexpr (n == 0) return v;
    if constexpr (n > 0) return _mm256_slli_epi16(v, n);
    return _mm256_srli_epi16(v, n < 0 ? -n : 0);
  }
  static I load_table(const uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static I lookup(I table, I codes) { return _mm256_shuffle_epi8(table, codes); }
  // 8 numbers as int32: whole bytes, or one of the two halves of each byte.
  static I load_int8(const int8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  template <bool high>
  static I load_halves(const uint8_t* p) {
    const __m256i both = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return high ? _mm256_srli_epi32(both, 4) : _mm256_and_si256(both, _mm256_set1_epi32(0xF));
  }

  // Products of bytes: 4 weights (unsigned, up to `most`) per lane with the same 4 activations in every lane.
  // They are added in 16 bits as long as none can overflow.
  static constexpr bool kUnsigned = false;  // of weights above 127: they are made signed first
  template <int most>
  static constexpr int kFolds = most > 127                     ? 1
                                : 32767 / (most * 2 * 127) > 8 ? 8
                                                               : 32767 / (most * 2 * 127);
  static I set1_bytes(const int8_t* p) {
    int32_t four = 0;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
  }
  static I dot_begin(I) { return _mm256_setzero_si256(); }
  template <int most>
  static I dot(I part, I w, I x) {
    if constexpr (most > 127) {
      const __m256i value = _mm256_xor_si256(w, _mm256_set1_epi8(-128));
      return _mm256_maddubs_epi16(_mm256_abs_epi8(value), _mm256_sign_epi8(x, value));
    }
    return _mm256_add_epi16(part, _mm256_maddubs_epi16(w, x));
  }
  template <int most>
  static I dot_end(I sum, I part) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(part, _mm256_set1_epi16(1)));
  }
  static V to_float(I v) { return _mm256_cvtepi32_ps(v); }
  // 32 whole numbers as int8, and the sum of each 16.
  static void store_int8(const V (&x)[4], int8_t* out, int32_t* sums) {
    const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(x[2]), _mm256_cvtps_epi32(x[3]));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high),  // fours of x[0] to x[3]
                                                      _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    store_with_sums(bytes, out, sums);
  }

  // Products of pairs of bf16.
  static I load_pairs(const uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static I set1_pair(const uint16_t* p) {
    int32_t pair = 0;
    __builtin_memcpy(&pair, p, 4);
    return _mm256_set1_epi32(pair);
  }
  static V even(I v) { return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16)); }
  static V odd(I v) { return _mm256_castsi256_ps(_mm256_and_si256(v, _mm256_set1_epi32(-65536))); }
  static V dot_bf16(V sum, I w, I x) { return fma(even(w), even(x), fma(odd(w), odd(x), sum)); }
};

}  // namespace volant::avx2
