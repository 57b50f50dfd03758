// Sixteen f32 at a time, by the compiler's vector types: one register with AVX-512, two with AVX2, four
// without. Included only by the kernels, inside the namespace of their instruction set.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace volant::torch_ops::VOLANT_ISA {

using V = float __attribute__((vector_size(64)));
using VI = int32_t __attribute__((vector_size(64)));
using VU = uint32_t __attribute__((vector_size(64)));
using VH = uint16_t __attribute__((vector_size(32)));
inline constexpr int64_t kLanes = 16;

struct Bf16 {
  uint16_t bits;
};

#define VOLANT_INLINE inline __attribute__((always_inline))

VOLANT_INLINE float to_float(float x) { return x; }
VOLANT_INLINE float to_float(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float y;
  std::memcpy(&y, &bits, 4);
  return y;
}
VOLANT_INLINE void store_one(float* p, float x) { *p = x; }
VOLANT_INLINE void store_one(Bf16* p, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  p->bits = static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

VOLANT_INLINE V load(const float* p) {
  V x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
VOLANT_INLINE V load(const Bf16* p) {
  VH h;
  std::memcpy(&h, p, sizeof h);
  const VU u = __builtin_convertvector(h, VU) << 16;
  V x;
  std::memcpy(&x, &u, sizeof x);
  return x;
}
VOLANT_INLINE void store(float* p, V x) { std::memcpy(p, &x, sizeof x); }
// Rounds to nearest even. A NaN made by arithmetic keeps a mantissa bit that survives the rounding. With
// instructions for it, numbers below 2^-126 become zero.
VOLANT_INLINE VH rounded(V x) {
#if defined(__AVX512BF16__)
  const __m256bh h = _mm512_cvtneps_pbh(x);
  VH y;
  std::memcpy(&y, &h, sizeof y);
  return y;
#else
  VU u;
  std::memcpy(&u, &x, sizeof u);
  u = (u + 0x7FFFU + ((u >> 16) & 1U)) >> 16;
  return __builtin_convertvector(u, VH);
#endif
}
VOLANT_INLINE void store(Bf16* p, V x) {
  const VH h = rounded(x);
  std::memcpy(p, &h, sizeof h);
}

VOLANT_INLINE V broadcast(float x) { return V{} + x; }
VOLANT_INLINE V maximum(V a, V b) { return a > b ? a : b; }

// 1 / x within 2 units in the last place; of numbers from 2^-126 to 2^126.
VOLANT_INLINE V inverse_of(V x) {
#if defined(__AVX512F__)
  const V guess = _mm512_rcp14_ps(x);
  return guess * (2.0F - x * guess);
#else
  return 1.0F / x;
#endif
}

VOLANT_INLINE float sum(V x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(x);  // halves to halves, as below
#else
  float parts[16];
  std::memcpy(parts, &x, sizeof parts);
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) parts[i] += parts[i + step];
  return parts[0];
#endif
}
VOLANT_INLINE float maximum_of(V x) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps(x);
#else
  float parts[16];
  std::memcpy(parts, &x, sizeof parts);
  for (int step = 8; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) parts[i] = parts[i] > parts[i + step] ? parts[i] : parts[i + step];
  return parts[0];
#endif
}

// e^x within 2 units in the last place for x in [-87, 88]; clamped outside. NaN stays NaN.
VOLANT_INLINE V exp_of(V x) {
  const V low = broadcast(-87.0F), high = broadcast(88.0F);
  V y = x < low ? low : x;
  y = y > high ? high : y;
  const V shift = broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  const V shifted = y * 1.44269504F + shift;
  const V n = shifted - shift;
  V r = y - n * 0.693359375F;  // ln 2 in two parts
  r = r + n * 2.12194440e-4F;
  V p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  VI bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + 0x3F800000;
  V scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

// The first `count` numbers at `p`, zeros after them; whole vectors cost nothing extra.
#if defined(__AVX512F__)
VOLANT_INLINE __mmask16 lanes_before(int64_t count) { return static_cast<__mmask16>((1U << count) - 1); }
VOLANT_INLINE V load_lanes(const float* p, int64_t count) {
  return _mm512_maskz_loadu_ps(lanes_before(count), p);
}
VOLANT_INLINE V load_lanes(const Bf16* p, int64_t count) {
  const __m256i h = _mm256_maskz_loadu_epi16(lanes_before(count), p);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
VOLANT_INLINE void store_lanes(float* p, V x, int64_t count) {
  _mm512_mask_storeu_ps(p, lanes_before(count), x);
}
VOLANT_INLINE void store_lanes(Bf16* p, V x, int64_t count) {
  const VH h = rounded(x);
  __m256i numbers;
  std::memcpy(&numbers, &h, sizeof numbers);
  _mm256_mask_storeu_epi16(p, lanes_before(count), numbers);
}
#else
template <class T>
VOLANT_INLINE V load_lanes(const T* p, int64_t count) {
  T padded[kLanes] = {};
  std::memcpy(padded, p, static_cast<size_t>(count) * sizeof(T));
  return load(padded);
}
template <class T>
VOLANT_INLINE void store_lanes(T* p, V x, int64_t count) {
  T padded[kLanes];
  store(padded, x);
  std::memcpy(p, padded, static_cast<size_t>(count) * sizeof(T));
}
#endif
template <class T>
VOLANT_INLINE V load_some(const T* p, int64_t count) {
  return count >= kLanes ? load(p) : load_lanes(p, count);
}
template <class T>
VOLANT_INLINE void store_some(T* p, V x, int64_t count) {
  if (count >= kLanes) [[likely]]
    return store(p, x);
  store_lanes(p, x, count);
}

}  // namespace volant::torch_ops::VOLANT_ISA
