// f32 and the types that hold a number each: f16, bf16, i32. Rows may lie at any address.
#include <bit>
#include <cmath>

#include "tensor/families.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace volant {

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1FU;
  const uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0x1F) {  // infinity, or NaN made quiet
    return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13) | (mantissa != 0 ? 0x400000U : 0U));
  }
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact in f32
    const float size = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(size));
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000U;
  const uint32_t size = bits & 0x7FFFFFFFU;
  if (size > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U | ((size >> 13) & 0x3FFU));
  if (size >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // rounds to 65536 or more
  if (size < 0x38800000U) {
    // Subnormal: adding 0.5 leaves the wanted bits, rounded to nearest even, at the end of the mantissa.
    const float moved = std::bit_cast<float>(size) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(moved) - 0x3F000000U));
  }
  const uint32_t odd = (size >> 13) & 1U;
  return static_cast<uint16_t>(sign | ((size - 0x38000000U + 0xFFFU + odd) >> 13));
}

float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

namespace formats {

#if defined(__x86_64__)
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  return has;
}
#endif

namespace {

void f16_row_generic(const void* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = f16_to_f32(load<uint16_t>(row, i));
}
void to_f16_row_generic(const float* row, int64_t n, void* out) {
  for (int64_t i = 0; i < n; ++i) store(out, i, f32_to_f16(row[i]));
}

#if defined(__x86_64__)
__attribute__((target("avx2,f16c"))) void f16_row_avx2(const void* row, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half =
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(static_cast<const char*>(row) + 2 * i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
  f16_row_generic(static_cast<const char*>(row) + 2 * i, n - i, out + i);
}

__attribute__((target("avx2,f16c"))) void to_f16_row_avx2(const float* row, int64_t n, void* out) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(row + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(static_cast<char*>(out) + 2 * i), half);
  }
  to_f16_row_generic(row + i, n - i, static_cast<char*>(out) + 2 * i);
}

#endif

int32_t round_to_int32(float x) {
  if (!(x > -2147483648.0F)) return x == x ? INT32_MIN : 0;
  return x >= 2147483648.0F ? INT32_MAX : static_cast<int32_t>(std::nearbyint(x));
}

}  // namespace

void f16_to_row(const void* row, int64_t n, float* out) {
#if defined(__x86_64__)
  if (has_avx2()) return f16_row_avx2(row, n, out);
#endif
  f16_row_generic(row, n, out);
}
void f16_from_row(const float* row, int64_t n, void* out) {
#if defined(__x86_64__)
  if (has_avx2()) return to_f16_row_avx2(row, n, out);
#endif
  to_f16_row_generic(row, n, out);
}

void bf16_to_row(const void* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = bf16_to_f32(load<uint16_t>(row, i));
}
void bf16_from_row(const float* row, int64_t n, void* out) {
  for (int64_t i = 0; i < n; ++i) store(out, i, f32_to_bf16(row[i]));
}

void i32_to_row(const void* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(load<int32_t>(row, i));
}
void i32_from_row(const float* row, int64_t n, void* out) {
  for (int64_t i = 0; i < n; ++i) store(out, i, round_to_int32(row[i]));
}

}  // namespace formats
}  // namespace volant
