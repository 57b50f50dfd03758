// The format families, one file each. For the tensor room only: others call tensor/dtype.h and block.h.
#pragma once
#include <cstring>

#include "tensor/block.h"

namespace volant::formats {

// floats.cc
#if defined(__x86_64__)
bool has_avx2();  // and f16c
#endif
void f16_to_row(const void* row, int64_t n, float* out);
void f16_from_row(const float* row, int64_t n, void* out);
void bf16_to_row(const void* row, int64_t n, float* out);
void bf16_from_row(const float* row, int64_t n, void* out);
void i32_to_row(const void* row, int64_t n, float* out);
void i32_from_row(const float* row, int64_t n, void* out);
// q8_0.cc
void q8_0_to_row(const void* row, int64_t n, float* out);
void q8_0_from_row(const float* row, int64_t n, void* out);

// blocks_32.cc: one f16 scale (and minimum) for 32 numbers.
void read_block_32(DType dtype, const uint8_t* bytes, Block& block);
void write_block_32(DType dtype, const Block& block, uint8_t* bytes);
// blocks_k.cc: 256 numbers; the scales of 16 or 32 of them are whole multiples of the block's.
void read_block_k(DType dtype, const uint8_t* bytes, Block& block);
void write_block_k(DType dtype, const Block& block, uint8_t* bytes);
// blocks_iq.cc: codes that name numbers of a table.
void read_block_iq(DType dtype, const uint8_t* bytes, Block& block);
void write_block_iq(DType dtype, const Block& block, uint8_t* bytes);

// quantize.cc: the block with the least squared error that the search finds for block-many numbers of x;
// `importance` (may be null) weighs each.
void quantize_block(DType dtype, const float* x, const float* importance, Block& block);

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

}  // namespace volant::formats
