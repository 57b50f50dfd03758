// What is in a block of a quantised type: a small whole number (code) for each number, and scales. One
// meaning for all types; the files of a format family (blocks_32.cc, blocks_k.cc, blocks_iq.cc) know where
// ggml's layout keeps the bits.
//
//   number[i] = (scale * scales[s] * factor) * value(codes[i]) - min * mins[s],   s = i / sub
//   value(code) = values[code], or code - offset where the type has no table
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace volant {

inline constexpr int kMaxBlock = 256;

struct BlockShape {
  int bits = 0;                    // of a code
  int sub = 32;                    // numbers that share scales[s] and mins[s]
  int offset = 0;                  // of a code without table
  bool has_min = false;            // min and mins count
  bool has_scales = false;         // scales count; 1 otherwise
  const int8_t* values = nullptr;  // 2^bits numbers
  float factor = 1;
};

inline constexpr int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};
// Sizes 8, 25 and 43, then the same below zero; 3 and 7 do not occur.
inline constexpr int8_t kIQ2Values[8] = {8, 25, 43, 0, -8, -25, -43, 0};

// Of a quantised type; bits is 0 for the others.
constexpr BlockShape block_shape(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return {.bits = 8, .offset = 128};
    case DType::kQ4_0:
      return {.bits = 4, .offset = 8};
    case DType::kQ4_1:
      return {.bits = 4, .has_min = true};
    case DType::kQ5_0:
      return {.bits = 5, .offset = 16};
    case DType::kQ5_1:
      return {.bits = 5, .has_min = true};
    case DType::kQ2_K:
      return {.bits = 2, .sub = 16, .has_min = true, .has_scales = true};
    case DType::kQ3_K:
      return {.bits = 3, .sub = 16, .offset = 4, .has_scales = true};
    case DType::kQ4_K:
      return {.bits = 4, .has_min = true, .has_scales = true};
    case DType::kQ5_K:
      return {.bits = 5, .has_min = true, .has_scales = true};
    case DType::kQ6_K:
      return {.bits = 6, .sub = 16, .offset = 32, .has_scales = true};
    case DType::kIQ4_NL:
      return {.bits = 4, .values = kIQ4Values};
    case DType::kIQ2_XXS:
      return {.bits = 3, .has_scales = true, .values = kIQ2Values, .factor = 0.125F};
    default:
      return {};
  }
}

struct Block {
  uint8_t codes[kMaxBlock];
  uint16_t scale, min;  // f16
  int8_t scales[16], mins[16];
};

// Takes a block of ggml's layout apart; fills what the shape says counts, and scales and mins always.
void read_block(DType dtype, const void* bytes, Block& block);
// Puts one together; `dtype` must be writable. Scales and mins are in the range that the layout has bits for.
void write_block(DType dtype, const Block& block, void* bytes);
// The numbers of a block.
void block_to_f32(DType dtype, const Block& block, float* out);

}  // namespace volant
