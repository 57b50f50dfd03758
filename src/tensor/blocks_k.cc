// Blocks of 256 numbers; each 16 or 32 of them have a small whole scale (and minimum) that multiplies the
// block's f16 scale (and minimum):
//   q2_K  16 bytes of scale and minimum, 4 bits each; 64 bytes of codes; scale, minimum
//   q3_K  32 bytes of third bits; 64 bytes of codes; 12 bytes of scales, 6 bits each, plus 32; scale
//   q4_K  scale, minimum; 12 bytes of scales and minimums, 6 bits each; 128 bytes of codes
//   q5_K  as q4_K, with 32 bytes of fifth bits before the codes
//   q6_K  128 bytes of low code halves; 64 bytes of high bits; 16 signed scales; scale
#include "base/check.h"
#include "tensor/families.h"

namespace volant::formats {
namespace {

// Two bits of code i of a block: byte i / 128 * 32 + i % 32, bits 2 * (i / 32 % 4).
int two_bit_byte(int i) { return i / 128 * 32 + i % 32; }
int two_bit_shift(int i) { return 2 * (i / 32 % 4); }
// Four bits of code i in q4_K and q5_K: 64 codes in 32 bytes, the first 32 in the low halves.
int nibble_byte(int i) { return i / 64 * 32 + i % 32; }
int nibble_shift(int i) { return 4 * (i / 32 % 2); }
// Four bits of code i in q6_K: 128 codes in 64 bytes.
int q6_byte(int i) { return i / 128 * 64 + i % 64; }
int q6_shift(int i) { return 4 * (i / 64 % 2); }

uint8_t bits_of(const uint8_t* bytes, int at, int shift, int mask) {
  return static_cast<uint8_t>(bytes[at] >> shift & mask);
}
void or_bits(uint8_t* bytes, int at, int shift, int value) {
  bytes[at] = static_cast<uint8_t>(bytes[at] | value << shift);
}

// q4_K and q5_K: the first four scales and minimums lie whole in bytes 0 to 7; of the others the low halves
// are in bytes 8 to 11 and the high two bits on top of bytes 0 to 7.
void read_six_bits(const uint8_t* bytes, Block& block) {
  for (int s = 0; s < 4; ++s) {
    block.scales[s] = static_cast<int8_t>(bytes[s] & 63);
    block.mins[s] = static_cast<int8_t>(bytes[s + 4] & 63);
    block.scales[s + 4] = static_cast<int8_t>((bytes[s + 8] & 0xF) | (bytes[s] >> 6) << 4);
    block.mins[s + 4] = static_cast<int8_t>((bytes[s + 8] >> 4) | (bytes[s + 4] >> 6) << 4);
  }
}
void write_six_bits(const Block& block, uint8_t* bytes) {
  for (int s = 0; s < 4; ++s) {
    const auto scale = static_cast<uint8_t>(block.scales[s + 4]),
               min = static_cast<uint8_t>(block.mins[s + 4]);
    bytes[s] = static_cast<uint8_t>((block.scales[s] & 63) | (scale >> 4) << 6);
    bytes[s + 4] = static_cast<uint8_t>((block.mins[s] & 63) | (min >> 4) << 6);
    bytes[s + 8] = static_cast<uint8_t>((scale & 0xF) | (min & 0xF) << 4);
  }
}

// q3_K: low halves of scale s in byte s % 8 (s < 8 below), the high two bits in bytes 8 to 11.
void read_q3_scales(const uint8_t* bytes, Block& block) {
  for (int s = 0; s < 16; ++s) {
    const int low = bits_of(bytes, s % 8, 4 * (s / 8), 0xF), high = bits_of(bytes, 8 + s % 4, 2 * (s / 4), 3);
    block.scales[s] = static_cast<int8_t>((low | high << 4) - 32);
  }
}
void write_q3_scales(const Block& block, uint8_t* bytes) {
  for (int s = 0; s < 16; ++s) {
    const int value = block.scales[s] + 32;
    or_bits(bytes, s % 8, 4 * (s / 8), value & 0xF);
    or_bits(bytes, 8 + s % 4, 2 * (s / 4), value >> 4);
  }
}

void read_q2_k(const uint8_t* bytes, Block& block) {
  for (int s = 0; s < 16; ++s) {
    block.scales[s] = static_cast<int8_t>(bytes[s] & 0xF);
    block.mins[s] = static_cast<int8_t>(bytes[s] >> 4);
  }
  for (int i = 0; i < kMaxBlock; ++i) {
    block.codes[i] = bits_of(bytes + 16, two_bit_byte(i), two_bit_shift(i), 3);
  }
  block.scale = load<uint16_t>(bytes + 80, 0);
  block.min = load<uint16_t>(bytes + 80, 1);
}
void write_q2_k(const Block& block, uint8_t* bytes) {
  for (int s = 0; s < 16; ++s) bytes[s] = static_cast<uint8_t>(block.scales[s] | block.mins[s] << 4);
  for (int i = 0; i < kMaxBlock; ++i) {
    or_bits(bytes + 16, two_bit_byte(i), two_bit_shift(i), block.codes[i]);
  }
  store(bytes + 80, 0, block.scale);
  store(bytes + 80, 1, block.min);
}

void read_q3_k(const uint8_t* bytes, Block& block) {
  for (int i = 0; i < kMaxBlock; ++i) {
    const int high = bits_of(bytes, i % 32, i / 32, 1);
    block.codes[i] =
        static_cast<uint8_t>(bits_of(bytes + 32, two_bit_byte(i), two_bit_shift(i), 3) | high << 2);
  }
  read_q3_scales(bytes + 96, block);
  block.scale = load<uint16_t>(bytes + 108, 0);
}
void write_q3_k(const Block& block, uint8_t* bytes) {
  for (int i = 0; i < kMaxBlock; ++i) {
    or_bits(bytes, i % 32, i / 32, block.codes[i] >> 2);
    or_bits(bytes + 32, two_bit_byte(i), two_bit_shift(i), block.codes[i] & 3);
  }
  write_q3_scales(block, bytes + 96);
  store(bytes + 108, 0, block.scale);
}

void read_q45_k(DType dtype, const uint8_t* bytes, Block& block) {
  const bool five = dtype == DType::kQ5_K;
  block.scale = load<uint16_t>(bytes, 0);
  block.min = load<uint16_t>(bytes, 1);
  read_six_bits(bytes + 4, block);
  const uint8_t* codes = bytes + (five ? 48 : 16);
  for (int i = 0; i < kMaxBlock; ++i) block.codes[i] = bits_of(codes, nibble_byte(i), nibble_shift(i), 0xF);
  if (!five) return;
  for (int i = 0; i < kMaxBlock; ++i) {
    block.codes[i] = static_cast<uint8_t>(block.codes[i] | bits_of(bytes + 16, i % 32, i / 32, 1) << 4);
  }
}
void write_q45_k(DType dtype, const Block& block, uint8_t* bytes) {
  const bool five = dtype == DType::kQ5_K;
  store(bytes, 0, block.scale);
  store(bytes, 1, block.min);
  write_six_bits(block, bytes + 4);
  uint8_t* codes = bytes + (five ? 48 : 16);
  for (int i = 0; i < kMaxBlock; ++i) or_bits(codes, nibble_byte(i), nibble_shift(i), block.codes[i] & 0xF);
  if (!five) return;
  for (int i = 0; i < kMaxBlock; ++i) or_bits(bytes + 16, i % 32, i / 32, block.codes[i] >> 4);
}

void read_q6_k(const uint8_t* bytes, Block& block) {
  for (int i = 0; i < kMaxBlock; ++i) {
    const int high = bits_of(bytes + 128, two_bit_byte(i), two_bit_shift(i), 3);
    block.codes[i] = static_cast<uint8_t>(bits_of(bytes, q6_byte(i), q6_shift(i), 0xF) | high << 4);
  }
  std::memcpy(block.scales, bytes + 192, 16);
  block.scale = load<uint16_t>(bytes + 208, 0);
}
void write_q6_k(const Block& block, uint8_t* bytes) {
  for (int i = 0; i < kMaxBlock; ++i) {
    or_bits(bytes, q6_byte(i), q6_shift(i), block.codes[i] & 0xF);
    or_bits(bytes + 128, two_bit_byte(i), two_bit_shift(i), block.codes[i] >> 4);
  }
  std::memcpy(bytes + 192, block.scales, 16);
  store(bytes + 208, 0, block.scale);
}

}  // namespace

void read_block_k(DType dtype, const uint8_t* bytes, Block& block) {
  block.min = 0;
  std::memset(block.mins, 0, sizeof block.mins);
  switch (dtype) {
    case DType::kQ2_K:
      return read_q2_k(bytes, block);
    case DType::kQ3_K:
      return read_q3_k(bytes, block);
    case DType::kQ4_K:
    case DType::kQ5_K:
      return read_q45_k(dtype, bytes, block);
    case DType::kQ6_K:
      return read_q6_k(bytes, block);
    default:
      CHECK(false);  // not a type of this family
  }
}

void write_block_k(DType dtype, const Block& block, uint8_t* bytes) {
  std::memset(bytes, 0, static_cast<size_t>(dtype_info(dtype).block_bytes));
  switch (dtype) {
    case DType::kQ2_K:
      return write_q2_k(block, bytes);
    case DType::kQ3_K:
      return write_q3_k(block, bytes);
    case DType::kQ4_K:
    case DType::kQ5_K:
      return write_q45_k(dtype, block, bytes);
    case DType::kQ6_K:
      return write_q6_k(block, bytes);
    default:
      CHECK(false);  // not a type of this family
  }
}

}  // namespace volant::formats
