// What the numbers of a tensor are. A quantised type stores rows in blocks of ggml's layout.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace volant {

enum class DType { kF32, kF16, kBF16, kQ8_0, kI32 };

struct DTypeInfo {
  const char* name;  // "f32", "f16", "bf16", "q8_0", "i32"
  int block;         // numbers in a block; 1 when not quantised
  int block_bytes;
};
const DTypeInfo& dtype_info(DType dtype);
// Bytes of one row of `n` numbers; n must be a multiple of the block.
size_t row_bytes(DType dtype, int64_t n);
Result<DType> dtype_from_name(std::string_view name);         // "q8_0"
Result<DType> dtype_from_safetensors(std::string_view word);  // "BF16"
Result<DType> dtype_from_ggml(uint32_t type);                 // 8

// Row conversions; sizes in numbers. Quantised rows: n is a multiple of 32.
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);  // round to nearest even
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);  // round to nearest even, NaN stays NaN
void to_f32(DType dtype, const void* row, int64_t n, float* out);
void from_f32(DType dtype, const float* row, int64_t n, void* out);

}  // namespace volant
