// AVX-512 (F, BW, VL, DQ, VNNI) as the vector type that the kernels in simd/ are written in. Used by the two
// tables of this folder alone; `Simd<true>` has BF16 products besides.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "kernels/avx2/store_int8.h"

namespace volant::avx512 {

template <bool kHasBf16>
struct Simd {
  using V = __m512;   // numbers
  using I = __m512i;  // int32
  static constexpr int kLanes = 16;
  static constexpr int kMaxAccumulators = 24;  // vectors that a tile may sum in: 32 registers

  static V zero() { return _mm512_setzero_ps(); }
  static V set1(float x) { return _mm512_set1_ps(x); }
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static __mmask16 lanes_below(int64_t n) { return static_cast<__mmask16>((1U << n) - 1U); }
  static V load_part(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(lanes_below(n), p); }
  static void store_part(float* p, V v, int64_t n) { _mm512_mask_storeu_ps(p, lanes_below(n), v); }
  static V load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }

  static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static V add(V a, V b) { return _mm512_add_ps(a, b); }
  static V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static V div(V a, V b) { return _mm512_div_ps(a, b); }
  static V max(V a, V b) { return _mm512_max_ps(a, b); }
  static V min(V a, V b) { return _mm512_min_ps(a, b); }
  static V abs(V a) { return _mm512_abs_ps(a); }
  static V round(V a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // `value` where x >= limit, else 0.
  static V keep_from(V value, V x, V limit) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_GE_OQ), value);
  }
  // 2^n of whole n in [-126, 127].
  static V pow2(V n) {
    const __m512i bits = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 23));
  }
  static float sum(V v) { return _mm512_reduce_add_ps(v); }
  static float largest(V v) { return _mm512_reduce_max_ps(v); }

  // Bytes in bulk.
  static I load_bytes(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static void store_bytes(uint8_t* p, I v) { _mm512_storeu_si512(p, v); }
  static I set1_byte(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
  static I set1_int(int32_t x) { return _mm512_set1_epi32(x); }
  static I bit_and(I a, I b) { return _mm512_and_si512(a, b); }
  static I bit_or(I a, I b) { return _mm512_or_si512(a, b); }
  template <int n>  // of 16-bit lanes, to the left
  static I shift(I v) {
    if constexpr (n == 0) return v;
    if constexpr (n > 0) return _mm512_slli_epi16(v, n);
    return _mm512_srli_epi16(v, n < 0 ? -n : 0);
  }
  static I load_table(const uint8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static I lookup(I table, I codes) { return _mm512_shuffle_epi8(table, codes); }
  // 16 numbers as int32: whole bytes, or one of the two halves of each byte.
  static I load_int8(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  template <bool high>
  static I load_halves(const uint8_t* p) {
    const __m512i both = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return high ? _mm512_srli_epi32(both, 4) : _mm512_and_si512(both, _mm512_set1_epi32(0xF));
  }

  // Products of bytes: 4 weights (unsigned, up to `most`) per lane with the same 4 activations in every lane.
  static constexpr bool kUnsigned = true;
  template <int most>
  static constexpr int kFolds = 8;
  static I set1_bytes(const int8_t* p) {
    int32_t four = 0;
    __builtin_memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
  }
  static I dot_begin(I sum) { return sum; }
  template <int most>
  static I dot(I part, I w, I x) {
    return _mm512_dpbusd_epi32(part, w, x);
  }
  template <int most>
  static I dot_end(I, I part) {
    return part;
  }
  static V to_float(I v) { return _mm512_cvtepi32_ps(v); }
  // 32 whole numbers as int8, and the sum of each 16.
  static void store_int8(const V (&x)[2], int8_t* out, int32_t* sums) {
    const __m256i bytes = _mm256_set_m128i(_mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x[1])),
                                           _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x[0])));
    avx2::store_with_sums(bytes, out, sums);
  }

  // Products of pairs of bf16.
  static I load_pairs(const uint16_t* p) { return _mm512_loadu_si512(p); }
  static I set1_pair(const uint16_t* p) {
    int32_t pair = 0;
    __builtin_memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
  }
  static V even(I v) { return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)); }
  static V odd(I v) { return _mm512_castsi512_ps(_mm512_and_si512(v, _mm512_set1_epi32(-65536))); }
  static V dot_bf16(V sum, I w, I x) {
#ifdef __AVX512BF16__
    if constexpr (kHasBf16) {
      return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(x));
    }
#endif
    return fma(even(w), even(x), fma(odd(w), odd(x), sum));
  }
};

}  // namespace volant::avx512
