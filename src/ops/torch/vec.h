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

// x between two bounds; NaN stays NaN.
VOLANT_INLINE V clamped(V x, float least, float most) {
  const V low = broadcast(least), high = broadcast(most);
#if defined(__AVX512F__)
  return _mm512_min_ps(high, _mm512_max_ps(low, x));  // of two, the second where one is NaN
#else
  const V y = x < low ? low : x;
  return y > high ? high : y;
#endif
}
// The nearest whole number, of numbers up to 2^22.
VOLANT_INLINE V nearest(V x) {
#if defined(__AVX512F__)
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
#else
  const V shift = broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  return (x + shift) - shift;
#endif
}
// x 2^n, for whole n from -126 to 127.
VOLANT_INLINE V times_power(V x, V n) {
#if defined(__AVX512F__)
  return _mm512_scalef_ps(x, n);
#else
  const VI bits = (__builtin_convertvector(n, VI) << 23) + 0x3F800000;
  V power;
  std::memcpy(&power, &bits, sizeof power);
  return x * power;
#endif
}

// Vectors whose operations take turns: what is computed of one waits for itself, step by step, and a
// processor does not look far enough ahead to begin with the next one meanwhile.
template <int kCount>
struct Vs {
  V v[kCount];
};
template <int kCount, class F, class... More>
VOLANT_INLINE Vs<kCount> each(F&& f, const Vs<kCount>& x, const More&... more) {
  Vs<kCount> y;
  for (int i = 0; i < kCount; ++i) y.v[i] = f(x.v[i], more.v[i]...);
  return y;
}
#define VOLANT_OPERATOR(op)                                                    \
  template <int n>                                                             \
  VOLANT_INLINE Vs<n> operator op(const Vs<n>& x, const Vs<n>& y) {            \
    return each(                                                               \
        [](V a, V b) __attribute__((always_inline)) { return a op b; }, x, y); \
  }                                                                            \
  template <int n>                                                             \
  VOLANT_INLINE Vs<n> operator op(const Vs<n>& x, float y) {                   \
    return each(                                                               \
        [y](V a) __attribute__((always_inline)) { return a op y; }, x);        \
  }                                                                            \
  template <int n>                                                             \
  VOLANT_INLINE Vs<n> operator op(float x, const Vs<n>& y) {                   \
    return each(                                                               \
        [x](V a) __attribute__((always_inline)) { return x op a; }, y);        \
  }
VOLANT_OPERATOR(+)
VOLANT_OPERATOR(-)
VOLANT_OPERATOR(*)
#undef VOLANT_OPERATOR
template <int n>
VOLANT_INLINE Vs<n> inverse_of(const Vs<n>& x) {
  return each(
      [](V a) __attribute__((always_inline)) { return inverse_of(a); }, x);
}
template <int n>
VOLANT_INLINE Vs<n> clamped(const Vs<n>& x, float least, float most) {
  return each(
      [=](V a) __attribute__((always_inline)) { return clamped(a, least, most); }, x);
}
template <int n>
VOLANT_INLINE Vs<n> nearest(const Vs<n>& x) {
  return each(
      [](V a) __attribute__((always_inline)) { return nearest(a); }, x);
}
template <int n>
VOLANT_INLINE Vs<n> times_power(const Vs<n>& x, const Vs<n>& powers) {
  return each(
      [](V a, V b) __attribute__((always_inline)) { return times_power(a, b); }, x, powers);
}

// e^x within 2 units in the last place for x in [-87, 87]; clamped outside, so that it and its inverse have
// all their digits (others are slow). NaN stays NaN. X: V or Vs.
template <class X>
VOLANT_INLINE X exp_of(const X& x) {
  const X y = clamped(x, -87.0F, 87.0F), n = nearest(y * 1.44269504F);
  X r = y - n * 0.693359375F;  // ln 2 in two parts
  r = r + n * 2.12194440e-4F;
  X p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = (p * r + 1.0F) * r + 1.0F;
  return times_power(p, n);
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

// The first `count` numbers at `p`, more than are in all vectors but the last.
template <int kCount, class T>
VOLANT_INLINE Vs<kCount> load_vectors(const T* p, int64_t count) {
  Vs<kCount> x;
  for (int i = 0; i < kCount; ++i) x.v[i] = load_some(p + i * kLanes, count - i * kLanes);
  return x;
}
template <int kCount, class T>
VOLANT_INLINE void store_vectors(T* p, const Vs<kCount>& x, int64_t count) {
  for (int i = 0; i < kCount; ++i) store_some(p + i * kLanes, x.v[i], count - i * kLanes);
}

// Calls f<count>(i, left) for all numbers from `begin` to `end`, by several vectors from i on, of which
// `left` numbers count.
template <class F>
VOLANT_INLINE void for_vectors(int64_t begin, int64_t end, F&& f) {
#if defined(__AVX512F__)
  constexpr int kTogether = 4;
#else
  constexpr int kTogether = 1;
#endif
  constexpr int64_t kStep = kTogether * kLanes;
  int64_t i = begin;
  for (; i + kStep <= end; i += kStep) f.template operator()<kTogether>(i, kStep);
  for (; i < end; i += kLanes) f.template operator()<1>(i, end - i);
}

}  // namespace volant::torch_ops::VOLANT_ISA
