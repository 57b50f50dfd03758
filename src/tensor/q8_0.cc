// q8_0: blocks of 32 numbers, an f16 scale and 32 signed bytes. Rows may lie at any address.
#include <cmath>

#include "tensor/families.h"

namespace volant::formats {
namespace {

constexpr int kQ8Block = 32;
constexpr size_t kQ8Bytes = 34;

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

void to_q8_row_generic(const float* row, int64_t n, void* out) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    quantize_q8_block(row + b * kQ8Block, static_cast<char*>(out) + static_cast<size_t>(b) * kQ8Bytes);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2,f16c"))) void to_q8_row_avx2(const float* row, int64_t n, void* out) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    quantize_q8_block(row + b * kQ8Block, static_cast<char*>(out) + static_cast<size_t>(b) * kQ8Bytes);
  }
}
#endif

}  // namespace

void q8_0_from_row(const float* row, int64_t n, void* out) {
#if defined(__x86_64__)
  if (has_avx2()) return to_q8_row_avx2(row, n, out);
#endif
  to_q8_row_generic(row, n, out);
}

void q8_0_to_row(const void* row, int64_t n, float* out) {
  for (int64_t b = 0; b < n / kQ8Block; ++b) {
    const char* block = static_cast<const char*>(row) + static_cast<size_t>(b) * kQ8Bytes;
    const float d = f16_to_f32(load<uint16_t>(block, 0));
    for (int i = 0; i < kQ8Block; ++i) {
      out[b * kQ8Block + i] = d * static_cast<float>(static_cast<signed char>(block[2 + i]));
    }
  }
}

}  // namespace volant::formats
