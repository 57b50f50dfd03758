#include "kernels/pack.h"

#include <cstring>

#include "base/check.h"

namespace volant {
namespace {

constexpr int64_t kQ8BlockBytes = 2 + kQ8Block;  // ggml's block_q8_0: f16 scale, 32 int8

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

void pack_q8_0(const std::byte* rows, int64_t n_out, int64_t n_in, int64_t panel, uint8_t* out,
               uint16_t* scales) {
  const int64_t n_block = n_in / kQ8Block;
  std::memset(out, 128, static_cast<size_t>(n_in * kPanel));
  std::memset(scales, 0, static_cast<size_t>(n_block * kPanel) * 2);
  for (int64_t j = 0; j < kPanel && panel * kPanel + j < n_out; ++j) {
    const std::byte* source = rows + static_cast<size_t>((panel * kPanel + j) * n_block * kQ8BlockBytes);
    for (int64_t b = 0; b < n_block; ++b, source += kQ8BlockBytes) {
      std::memcpy(&scales[b * kPanel + j], source, 2);
      for (int64_t i = 0; i < kQ8Block; ++i) {
        const int value = static_cast<int8_t>(source[2 + i]);
        out[((b * kQ8Block + i) / 4 * kPanel + j) * 4 + i % 4] = static_cast<uint8_t>(value + 128);
      }
    }
  }
}

}  // namespace

size_t packed_bytes(DType dtype, int64_t n_out, int64_t n_in) {
  const auto outputs = static_cast<size_t>(panel_count(n_out) * kPanel);
  switch (dtype) {
    case DType::kF32:
      return outputs * static_cast<size_t>(n_in) * 4;
    case DType::kF16:
      return outputs * static_cast<size_t>(n_in) * 2;
    case DType::kBF16:
      return outputs * static_cast<size_t>(round_up(n_in, 2)) * 2;
    case DType::kQ8_0:
      return outputs * static_cast<size_t>(n_in);
    case DType::kI32:
      break;
  }
  CHECK(!"a type that weights can have");
  return 0;
}

size_t packed_scale_bytes(DType dtype, int64_t n_out, int64_t n_in) {
  return dtype == DType::kQ8_0 ? static_cast<size_t>(panel_count(n_out) * kPanel * (n_in / kQ8Block)) * 2 : 0;
}

void pack_panels(DType dtype, const void* rows, int64_t n_out, int64_t n_in, int64_t panel_begin,
                 int64_t panel_end, void* packed, uint16_t* scales) {
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
      case DType::kQ8_0:
        pack_q8_0(source, n_out, n_in, p, static_cast<uint8_t*>(packed) + p * kPanel * n_in,
                  scales + p * kPanel * (n_in / kQ8Block));
        break;
      case DType::kI32:
        CHECK(!"a type that weights can have");
    }
  }
}

void unpack_row(DType dtype, const void* packed, const uint16_t* scales, int64_t n_in, int64_t row,
                float* out) {
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
    case DType::kQ8_0: {
      const uint8_t* w = static_cast<const uint8_t*>(packed) + panel * kPanel * n_in;
      const uint16_t* s = scales + panel * kPanel * (n_in / kQ8Block);
      for (int64_t i = 0; i < n_in; ++i) {
        const float scale = f16_to_f32(s[i / kQ8Block * kPanel + j]);
        out[i] = scale * static_cast<float>(w[(i / 4 * kPanel + j) * 4 + i % 4] - 128);
      }
      break;
    }
    case DType::kI32:
      CHECK(!"a type that weights can have");
  }
}

}  // namespace volant
