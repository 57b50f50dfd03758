// Blocks of 32 numbers with one f16 scale, and in the _1 types an f16 minimum:
//   q4_0  scale, 16 bytes: code i in the low half of byte i, code 16 + i in the high half
//   q4_1  scale, minimum, the same 16 bytes
//   q5_0  scale, 4 bytes of fifth bits (bit i of code i), 16 bytes as in q4_0
//   q5_1  scale, minimum, fifth bits, 16 bytes
//   q8_0  scale, 32 signed bytes
#include "base/check.h"
#include "tensor/families.h"

namespace volant::formats {
namespace {

constexpr int kHalf = 16;

void read_nibbles(const uint8_t* bytes, uint8_t* codes) {
  for (int i = 0; i < kHalf; ++i) {
    codes[i] = bytes[i] & 0xF;
    codes[kHalf + i] = bytes[i] >> 4;
  }
}

void write_nibbles(const uint8_t* codes, uint8_t* bytes) {
  for (int i = 0; i < kHalf; ++i) {
    bytes[i] = static_cast<uint8_t>((codes[i] & 0xF) | (codes[kHalf + i] & 0xF) << 4);
  }
}

void read_fifth_bits(const uint8_t* bytes, uint8_t* codes) {
  const auto bits = load<uint32_t>(bytes, 0);
  for (int i = 0; i < 2 * kHalf; ++i) codes[i] = static_cast<uint8_t>(codes[i] | ((bits >> i) & 1U) << 4);
}

void write_fifth_bits(const uint8_t* codes, uint8_t* bytes) {
  uint32_t bits = 0;
  for (int i = 0; i < 2 * kHalf; ++i) bits |= static_cast<uint32_t>(codes[i] >> 4 & 1) << i;
  store(bytes, 0, bits);
}

}  // namespace

void read_block_32(DType dtype, const uint8_t* bytes, Block& block) {
  const bool has_min = block_shape(dtype).has_min;
  block.scale = load<uint16_t>(bytes, 0);
  block.min = has_min ? load<uint16_t>(bytes, 1) : uint16_t{0};
  block.scales[0] = 1;
  block.mins[0] = has_min ? -1 : 0;  // the file's minimum is added
  bytes += has_min ? 4 : 2;
  switch (block_shape(dtype).bits) {
    case 4:
      return read_nibbles(bytes, block.codes);
    case 5:
      read_nibbles(bytes + 4, block.codes);
      return read_fifth_bits(bytes, block.codes);
    default:
      for (int i = 0; i < 2 * kHalf; ++i) block.codes[i] = bytes[i] ^ 0x80;
  }
}

void write_block_32(DType dtype, const Block& block, uint8_t* bytes) {
  const bool has_min = block_shape(dtype).has_min;
  store(bytes, 0, block.scale);
  if (has_min) store(bytes, 1, block.min);
  bytes += has_min ? 4 : 2;
  switch (block_shape(dtype).bits) {
    case 4:
      return write_nibbles(block.codes, bytes);
    case 5:
      write_fifth_bits(block.codes, bytes);
      return write_nibbles(block.codes, bytes + 4);
    default:
      for (int i = 0; i < 2 * kHalf; ++i) bytes[i] = block.codes[i] ^ 0x80;
  }
}

}  // namespace volant::formats
