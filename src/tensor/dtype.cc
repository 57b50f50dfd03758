#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/tensor_view.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace volant {
namespace {

constexpr int kQ8Block = 32;
constexpr size_t kQ8Bytes = 34;  // f16 scale, 32 signed bytes

constexpr std::array<DTypeInfo, 5> kInfo{
    {{"f32", 1, 4}, {"f16", 1, 2}, {"bf16", 1, 2}, {"q8_0", kQ8Block, kQ8Bytes}, {"i32", 1, 4}}};

template <class T>
T load(const void* from, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(from) + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}
template <class T>
void store(void* to, int64_t index, T value) {
  std::memcpy(static_cast<char*>(to) + static_cast<size_t>(index) * sizeof(T), &value, sizeof(T));
}

// Half away from zero, as roundf, written so that compilers vectorise it; NaN becomes 0.
inline int8_t round_to_int8(float x) {
  x = x > 127.0F ? 127.0F : x;
  x = x < -127.0F ? -127.0F : x;
  x = x == x ? x : 0.0F;
  const int whole = static_cast<int>(x);
  const float rest = x - static_cast<float>(whole);
  return static_cast<int8_t>(whole + (rest >= 0.5F ? 1 : 0) - (rest <= -0.5F ? 1 : 0));
}

// One block, as ggml's reference: d = max|x| / 127, q = round(x / d), with the reciprocal of the unrounded d.
__attribute__((always_inline)) inline void quantize_q8_block(const float* x, char* block) {
  float largest = 0;
  for (int i = 0; i < kQ8Block; ++i) {
    const float size = std::fabs(x[i]);
    largest = size > largest ? size : largest;
  }
  const float d = largest / 127.0F;
  const float inverse = d != 0 ? 1.0F / d : 0.0F;
  store(block, 0, f32_to_f16(d));
  int8_t q[kQ8Block];
  for (int i = 0; i < kQ8Block; ++i) q[i] = round_to_int8(x[i] * inverse);
  std::memcpy(block + 2, q, kQ8Block);
}

void f16_row_generic(const void* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = f16_to_f32(load<uint16_t>(row, i));
}
void to_f16_row_generic(const float* row, int64_t n, void* out) {
  for (int64_t i = 0; i < n; ++i) store(out, i, f32_to_f16(row[i]));
}
void to_q8_row_generic(const float* row, int64_t n, void* out) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    quantize_q8_block(row + b * kQ8Block, static_cast<char*>(out) + static_cast<size_t>(b) * kQ8Bytes);
  }
}

#if defined(__x86_64__)
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  return has;
}

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

__attribute__((target("avx2,f16c"))) void to_q8_row_avx2(const float* row, int64_t n, void* out) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    quantize_q8_block(row + b * kQ8Block, static_cast<char*>(out) + static_cast<size_t>(b) * kQ8Bytes);
  }
}
#endif

void f16_row(const void* row, int64_t n, float* out) {
#if defined(__x86_64__)
  if (has_avx2()) return f16_row_avx2(row, n, out);
#endif
  f16_row_generic(row, n, out);
}
void to_f16_row(const float* row, int64_t n, void* out) {
#if defined(__x86_64__)
  if (has_avx2()) return to_f16_row_avx2(row, n, out);
#endif
  to_f16_row_generic(row, n, out);
}
void to_q8_row(const float* row, int64_t n, void* out) {
#if defined(__x86_64__)
  if (has_avx2()) return to_q8_row_avx2(row, n, out);
#endif
  to_q8_row_generic(row, n, out);
}

void q8_row(const void* row, int64_t n, float* out) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    const char* block = static_cast<const char*>(row) + static_cast<size_t>(b) * kQ8Bytes;
    const float d = f16_to_f32(load<uint16_t>(block, 0));
    for (int i = 0; i < kQ8Block; ++i) {
      out[b * kQ8Block + i] = d * static_cast<float>(static_cast<signed char>(block[2 + i]));
    }
  }
}

int32_t round_to_int32(float x) {
  if (!(x > -2147483648.0F)) return x == x ? INT32_MIN : 0;
  return x >= 2147483648.0F ? INT32_MAX : static_cast<int32_t>(std::nearbyint(x));
}

}  // namespace

const DTypeInfo& dtype_info(DType dtype) { return kInfo[static_cast<size_t>(dtype)]; }

size_t row_bytes(DType dtype, int64_t n) {
  const DTypeInfo& info = dtype_info(dtype);
  CHECK(n >= 0 && n % info.block == 0);
  return static_cast<size_t>(n / info.block) * static_cast<size_t>(info.block_bytes);
}

Result<DType> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (name == kInfo[i].name) return static_cast<DType>(i);
  }
  return fail(ErrorCode::kInvalidArgument, "expected a number type f32, f16, bf16, q8_0 or i32, got '{}'",
              name);
}

Result<DType> dtype_from_safetensors(std::string_view word) {
  if (word == "F32") return DType::kF32;
  if (word == "F16") return DType::kF16;
  if (word == "BF16") return DType::kBF16;
  if (word == "I32") return DType::kI32;
  return fail(ErrorCode::kUnsupported, "expected a tensor of F32, F16, BF16 or I32, got '{}'", word);
}

Result<DType> dtype_from_ggml(uint32_t type) {
  switch (type) {
    case 0:
      return DType::kF32;
    case 1:
      return DType::kF16;
    case 8:
      return DType::kQ8_0;
    case 26:
      return DType::kI32;
    case 30:
      return DType::kBF16;
    default:
      return fail(ErrorCode::kUnsupported,
                  "expected a ggml tensor type f32, f16, bf16, q8_0 or i32, got type {}", type);
  }
}

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

void to_f32(DType dtype, const void* row, int64_t n, float* out) {
  CHECK(n >= 0 && n % dtype_info(dtype).block == 0);
  switch (dtype) {
    case DType::kF32:
      if (n > 0) std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return f16_row(row, n, out);
    case DType::kBF16:
      for (int64_t i = 0; i < n; ++i) out[i] = bf16_to_f32(load<uint16_t>(row, i));
      return;
    case DType::kQ8_0:
      return q8_row(row, n, out);
    case DType::kI32:
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(load<int32_t>(row, i));
      return;
  }
}

void from_f32(DType dtype, const float* row, int64_t n, void* out) {
  CHECK(n >= 0 && n % dtype_info(dtype).block == 0);
  switch (dtype) {
    case DType::kF32:
      if (n > 0) std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return to_f16_row(row, n, out);
    case DType::kBF16:
      for (int64_t i = 0; i < n; ++i) store(out, i, f32_to_bf16(row[i]));
      return;
    case DType::kQ8_0:
      return to_q8_row(row, n, out);
    case DType::kI32:
      for (int64_t i = 0; i < n; ++i) store(out, i, round_to_int32(row[i]));
      return;
  }
}

std::vector<float> to_f32(const TensorView& view) {
  const int64_t columns = view.columns();
  const int64_t n = view.count();
  CHECK(n >= 0 && view.bytes.size() >= row_bytes(view.dtype, n));
  CHECK(n == 0 || columns % dtype_info(view.dtype).block == 0);
  std::vector<float> out(static_cast<size_t>(n));
  to_f32(view.dtype, view.bytes.data(), n, out.data());
  return out;
}

}  // namespace volant
