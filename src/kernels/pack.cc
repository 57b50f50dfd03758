#include "kernels/pack.h"

#include <cstring>

#include "base/check.h"

namespace volant {
namespace {

constexpr int kGroups = 8;  // of 4 inputs, in 32
constexpr int64_t kLine = 64;

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

template <class T>
void pack_plain(const std::byte* rows, int64_t n_out, int64_t n_in, int64_t panel, T* out) {
  for (int64_t j = 0; j < kPanel; ++j) {
    const int64_t row = panel * kPanel + j;
    if (row >= n_out) {
      for (int64_t i = 0; i < n_in; ++i) out[i * kPanel + j] = T{};
      continue;
    }
    const std::byte* source = rows + static_cast<size_t>(row * n_in) * sizeof(T);
    for (int64_t i = 0; i < n_in; ++i) {
      std::memcpy(&out[i * kPanel + j], source + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    }
  }
}

void pack_bf16(const std::byte* rows, int64_t n_out, int64_t n_in, int64_t panel, uint16_t* out) {
  std::memset(out, 0, static_cast<size_t>(round_up(n_in, 2) * kPanel) * 2);
  for (int64_t j = 0; j < kPanel && panel * kPanel + j < n_out; ++j) {
    const std::byte* source = rows + static_cast<size_t>((panel * kPanel + j) * n_in) * 2;
    for (int64_t i = 0; i < n_in; ++i) {
      std::memcpy(&out[(i / 2 * kPanel + j) * 2 + i % 2], source + static_cast<size_t>(i) * 2, 2);
    }
  }
}

// A group's four codes are handled as one word.
uint32_t load_word(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, 4);
  return word;
}
void store_word(uint8_t* p, uint32_t word) { std::memcpy(p, &word, 4); }

constexpr uint32_t repeat(uint32_t byte) { return byte * 0x01010101U; }

void pack_codes(const PackedLayout& layout, const uint8_t* codes, int64_t lane, uint8_t* packed) {
  uint32_t words[kGroups];
  for (int g = 0; g < kGroups; ++g) words[g] = load_word(codes + 4 * g);
  packed += 4 * lane;
  for (int g = 0; g < layout.bytes; ++g) store_word(packed + g * kLine, words[g]);
  for (int q = 0; q < layout.nibbles; ++q) {
    store_word(packed + q * kLine, (words[2 * q] & repeat(0xF)) | (words[2 * q + 1] & repeat(0xF)) << 4);
  }
  for (int h = 0; h < layout.pairs; ++h) {
    uint32_t line = 0;
    for (int j = 0; j < 4; ++j) line |= (words[4 * h + j] >> layout.pairs_shift & repeat(3)) << (2 * j);
    store_word(packed + layout.pairs_at + h * kLine, line);
  }
  if (layout.bits != 0) {
    uint32_t line = 0;
    for (int g = 0; g < kGroups; ++g) line |= (words[g] >> layout.bits_shift & repeat(1)) << g;
    store_word(packed + layout.bits_at, line);
  }
}

void pack_scales(const BlockShape& shape, const PackedLayout& layout, const Block& block, int64_t lane,
                 uint8_t* record) {
  std::memcpy(record + 2 * lane, &block.scale, 2);
  if (shape.has_min) std::memcpy(record + layout.mins_at + 2 * lane, &block.min, 2);
  if (!shape.has_scales) return;
  for (int s = 0; s < layout.block / shape.sub; ++s) {
    const int64_t at = s * kPanel + lane;
    const auto scale = static_cast<uint8_t>(block.scales[s]), min = static_cast<uint8_t>(block.mins[s]);
    record[layout.small_scales_at + at] =
        layout.small_halves ? static_cast<uint8_t>(scale | min << 4) : scale;
    if (shape.has_min && !layout.small_halves) record[layout.small_mins_at + at] = min;
  }
}

int64_t code_bytes(DType dtype, int64_t n_in) { return n_in / 32 * kLine * block_shape(dtype).bits; }
int64_t scale_bytes(DType dtype, int64_t n_in) {
  const PackedLayout layout = packed_layout(dtype);
  return n_in / layout.block * layout.record_bytes;
}

void pack_blocks(DType dtype, const std::byte* rows, int64_t n_out, int64_t n_in, int64_t panel, uint8_t* out,
                 uint8_t* scales) {
  const BlockShape shape = block_shape(dtype);
  const PackedLayout layout = packed_layout(dtype);
  const size_t bytes = row_bytes(dtype, n_in);
  if ((panel + 1) * kPanel > n_out) {
    std::memset(out, 0, static_cast<size_t>(code_bytes(dtype, n_in)));
    std::memset(scales, 0, static_cast<size_t>(scale_bytes(dtype, n_in)));
  }
  Block block;
  for (int64_t lane = 0; lane < kPanel && panel * kPanel + lane < n_out; ++lane) {
    const std::byte* source = rows + static_cast<size_t>(panel * kPanel + lane) * bytes;
    for (int64_t b = 0; b < n_in / layout.block; ++b, source += dtype_info(dtype).block_bytes) {
      read_block(dtype, source, block);
      for (int p = 0; p < layout.block / 32; ++p) {
        pack_codes(layout, block.codes + 32 * p, lane,
                   out + (b * (layout.block / 32) + p) * kLine * shape.bits);
      }
      pack_scales(shape, layout, block, lane, scales + b * layout.record_bytes);
    }
  }
}

void unpack_blocks(DType dtype, const uint8_t* packed, const uint8_t* scales, int64_t n_in, int64_t lane,
                   float* out) {
  const PackedLayout layout = packed_layout(dtype);
  const int64_t piece = kLine * block_shape(dtype).bits;
  Block block;
  for (int64_t b = 0; b < n_in / layout.block; ++b) {
    for (int p = 0; p < layout.block / 32; ++p) {
      unpack_codes(layout, packed + (b * (layout.block / 32) + p) * piece, lane, block.codes + 32 * p);
    }
    unpack_scales(dtype, scales + b * layout.record_bytes, lane, block);
    block_to_f32(dtype, block, out + b * layout.block);
  }
}

}  // namespace

void unpack_codes(const PackedLayout& layout, const uint8_t* packed, int64_t lane, uint8_t* codes) {
  packed += 4 * lane;
  for (int g = 0; g < kGroups; ++g) {
    uint32_t word = 0;
    if (layout.bytes != 0) word = load_word(packed + g * kLine);
    if (layout.nibbles != 0) word = load_word(packed + g / 2 * kLine) >> (4 * (g % 2)) & repeat(0xF);
    if (layout.pairs != 0) {
      const uint32_t line = load_word(packed + layout.pairs_at + g / 4 * kLine);
      word |= (line >> (2 * (g % 4)) & repeat(3)) << layout.pairs_shift;
    }
    if (layout.bits != 0) {
      word |= (load_word(packed + layout.bits_at) >> g & repeat(1)) << layout.bits_shift;
    }
    store_word(codes + 4 * g, word);
  }
}

void unpack_scales(DType dtype, const uint8_t* record, int64_t lane, Block& block) {
  const BlockShape shape = block_shape(dtype);
  const PackedLayout layout = packed_layout(dtype);
  std::memcpy(&block.scale, record + 2 * lane, 2);
  if (shape.has_min) std::memcpy(&block.min, record + layout.mins_at + 2 * lane, 2);
  block.scales[0] = 1;
  block.mins[0] = -1;  // the minimum of q4_1 and q5_1 is added
  if (!shape.has_scales) return;
  for (int s = 0; s < layout.block / shape.sub; ++s) {
    const int64_t at = s * kPanel + lane;
    const uint8_t scale = record[layout.small_scales_at + at];
    block.scales[s] = static_cast<int8_t>(layout.small_halves ? scale & 0xF : scale);
    if (!shape.has_min) continue;
    block.mins[s] = static_cast<int8_t>(layout.small_halves ? scale >> 4 : record[layout.small_mins_at + at]);
  }
}

size_t packed_bytes(DType dtype, int64_t n_out, int64_t n_in) {
  const auto outputs = static_cast<size_t>(panel_count(n_out) * kPanel);
  switch (dtype) {
    case DType::kF32:
      return outputs * static_cast<size_t>(n_in) * 4;
    case DType::kF16:
      return outputs * static_cast<size_t>(n_in) * 2;
    case DType::kBF16:
      return outputs * static_cast<size_t>(round_up(n_in, 2)) * 2;
    default:
      CHECK(is_quantised(dtype));
      return static_cast<size_t>(panel_count(n_out) * code_bytes(dtype, n_in));
  }
}

size_t packed_scale_bytes(DType dtype, int64_t n_out, int64_t n_in) {
  return is_quantised(dtype) ? static_cast<size_t>(panel_count(n_out) * scale_bytes(dtype, n_in)) : 0;
}

void pack_panels(DType dtype, const void* rows, int64_t n_out, int64_t n_in, int64_t panel_begin,
                 int64_t panel_end, void* packed, void* scales) {
  const auto* source = static_cast<const std::byte*>(rows);
  for (int64_t p = panel_begin; p < panel_end; ++p) {
    switch (dtype) {
      case DType::kF32:
        pack_plain(source, n_out, n_in, p, static_cast<float*>(packed) + p * kPanel * n_in);
        break;
      case DType::kF16:
        pack_plain(source, n_out, n_in, p, static_cast<uint16_t*>(packed) + p * kPanel * n_in);
        break;
      case DType::kBF16:
        pack_bf16(source, n_out, n_in, p, static_cast<uint16_t*>(packed) + p * kPanel * round_up(n_in, 2));
        break;
      default:
        CHECK(is_quantised(dtype));
        pack_blocks(dtype, source, n_out, n_in, p,
                    static_cast<uint8_t*>(packed) + p * code_bytes(dtype, n_in),
                    static_cast<uint8_t*>(scales) + p * scale_bytes(dtype, n_in));
    }
  }
}

void unpack_row(DType dtype, const void* packed, const void* scales, int64_t n_in, int64_t row, float* out) {
  const int64_t panel = row / kPanel, j = row % kPanel;
  switch (dtype) {
    case DType::kF32: {
      const float* w = static_cast<const float*>(packed) + panel * kPanel * n_in + j;
      for (int64_t i = 0; i < n_in; ++i) out[i] = w[i * kPanel];
      break;
    }
    case DType::kF16: {
      const uint16_t* w = static_cast<const uint16_t*>(packed) + panel * kPanel * n_in + j;
      for (int64_t i = 0; i < n_in; ++i) out[i] = f16_to_f32(w[i * kPanel]);
      break;
    }
    case DType::kBF16: {
      const uint16_t* w = static_cast<const uint16_t*>(packed) + panel * kPanel * round_up(n_in, 2);
      for (int64_t i = 0; i < n_in; ++i) out[i] = bf16_to_f32(w[(i / 2 * kPanel + j) * 2 + i % 2]);
      break;
    }
    default:
      CHECK(is_quantised(dtype));
      unpack_blocks(dtype, static_cast<const uint8_t*>(packed) + panel * code_bytes(dtype, n_in),
                    static_cast<const uint8_t*>(scales) + panel * scale_bytes(dtype, n_in), n_in, j, out);
  }
}

}  // namespace volant
