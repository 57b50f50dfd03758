// What the numbers of a tensor are. A quantised type stores rows in blocks of ggml's layout
// (github.com/ggml-org/ggml, ggml-common.h); tensor/block.h says what is in a block.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace volant {

enum class DType {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kI32,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ2_XXS,
};
inline constexpr int kDTypes = 16;

struct DTypeInfo {
  const char* name;  // "f32", "q8_0", "q4_K"
  int block;         // numbers in a block; 1 when not quantised
  int block_bytes;
  uint32_t ggml;            // ggml's type number
  const char* safetensors;  // its word there; null when it has none
  bool writable;            // from_f32 makes it
};
const DTypeInfo& dtype_info(DType dtype);
inline bool is_quantised(DType dtype) { return dtype_info(dtype).block > 1; }
// Bytes of one row of `n` numbers; n must be a multiple of the block.
size_t row_bytes(DType dtype, int64_t n);
Result<DType> dtype_from_name(std::string_view name);         // "q8_0"
Result<DType> dtype_from_safetensors(std::string_view word);  // "BF16"
Result<DType> dtype_from_ggml(uint32_t type);                 // 8
// The names of all types, for messages: "f32, f16, ... or iq2_xxs".
std::string dtype_names();

// Row conversions; sizes in numbers. Quantised rows: n is a multiple of the block.
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);  // round to nearest even
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);  // round to nearest even, NaN stays NaN
void to_f32(DType dtype, const void* row, int64_t n, float* out);
// `dtype` must be writable. `importance`, when given, weighs the squared error of each of the n numbers that
// a quantised type makes (at least 0; q8_0, where all errors are small, passes over it).
void from_f32(DType dtype, const float* row, int64_t n, void* out, const float* importance = nullptr);

}  // namespace volant
