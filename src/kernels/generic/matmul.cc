// Products with packed weights, one panel and one row at a time.
#include <algorithm>
#include <cstring>

#include "kernels/generic/generic.h"
#include "kernels/pack.h"

namespace volant::generic {
namespace {

void store_panel(const MatmulArgs& args, int64_t row, int64_t panel, const float* sums) {
  const int64_t first = panel * kPanel;
  const auto n = static_cast<size_t>(std::min(kPanel, args.n_out - first));
  std::memcpy(args.y + row * args.y_stride + first, sums, n * sizeof(float));
}

// `sum_panel(row, panel, sums)` fills sums[16].
template <class SumPanel>
void for_each_panel(const MatmulArgs& args, const SumPanel& sum_panel) {
  for (int64_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    for (int64_t row = 0; row < args.n_rows; ++row) {
      float sums[kPanel] = {};
      sum_panel(row, panel, sums);
      store_panel(args, row, panel, sums);
    }
  }
}

void matmul_f32(const MatmulArgs& args) {
  for_each_panel(args, [&](int64_t row, int64_t panel, float* sums) {
    const float* x = static_cast<const float*>(args.x) + row * args.x_stride;
    const float* w = static_cast<const float*>(args.w) + panel * kPanel * args.n_in;
    for (int64_t i = 0; i < args.n_in; ++i) {
      for (int64_t j = 0; j < kPanel; ++j) sums[j] += x[i] * w[i * kPanel + j];
    }
  });
}

void matmul_f16(const MatmulArgs& args) {
  for_each_panel(args, [&](int64_t row, int64_t panel, float* sums) {
    const float* x = static_cast<const float*>(args.x) + row * args.x_stride;
    const uint16_t* w = static_cast<const uint16_t*>(args.w) + panel * kPanel * args.n_in;
    for (int64_t i = 0; i < args.n_in; ++i) {
      for (int64_t j = 0; j < kPanel; ++j) sums[j] += x[i] * f16_to_f32(w[i * kPanel + j]);
    }
  });
}

void matmul_bf16(const MatmulArgs& args) {
  const int64_t n_pair = (args.n_in + 1) / 2;
  for_each_panel(args, [&](int64_t row, int64_t panel, float* sums) {
    const uint16_t* x = static_cast<const uint16_t*>(args.x) + row * args.x_stride;
    const uint16_t* w = static_cast<const uint16_t*>(args.w) + panel * kPanel * n_pair * 2;
    for (int64_t i = 0; i < n_pair; ++i) {
      const float even = bf16_to_f32(x[2 * i]), odd = bf16_to_f32(x[2 * i + 1]);
      for (int64_t j = 0; j < kPanel; ++j) {
        const uint16_t* pair = w + (i * kPanel + j) * 2;
        sums[j] += odd * bf16_to_f32(pair[1]) + even * bf16_to_f32(pair[0]);
      }
    }
  });
}

// int8 activations with quantised weights: whole numbers under one scale, then f32.
template <DType kType>
void matmul_blocks(const MatmulArgs& args) {
  constexpr BlockShape kShape = block_shape(kType);
  constexpr PackedLayout kLayout = packed_layout(kType);
  constexpr int64_t kPieceBytes = 64 * kShape.bits, kPieces = kLayout.block / 32;
  const int64_t n_record = args.n_in / kLayout.block;
  for_each_panel(args, [&](int64_t row, int64_t panel, float* sums) {
    const int8_t* x = static_cast<const int8_t*>(args.x) + row * args.x_stride;
    const float* x_scales = args.x_scales + row * (args.x_stride / kQ8Block);
    const auto* w = static_cast<const uint8_t*>(args.w) + panel * n_record * kPieces * kPieceBytes;
    const auto* record = static_cast<const uint8_t*>(args.w_scales) + panel * n_record * kLayout.record_bytes;
    Block block;
    for (int64_t r = 0; r < n_record; ++r, record += kLayout.record_bytes) {
      for (int64_t lane = 0; lane < kPanel; ++lane) {
        unpack_scales(kType, record, lane, block);
        const float scale = f16_to_f32(block.scale) * kShape.factor;
        const float min = kShape.has_min ? f16_to_f32(block.min) : 0.0F;
        for (int64_t p = 0; p < kPieces; ++p) {
          unpack_codes(kLayout, w + (r * kPieces + p) * kPieceBytes, lane, block.codes);
          const int64_t at = r * kPieces + p;  // of 32 inputs
          for (int sub = 0; sub < 32 / kShape.sub; ++sub) {
            int32_t dot = 0, sum = 0;
            for (int i = sub * kShape.sub; i < (sub + 1) * kShape.sub; ++i) {
              const int32_t number = x[at * 32 + i], code = block.codes[i];
              dot += number * (kShape.values != nullptr ? kShape.values[code] : code - kShape.offset);
              sum += number;
            }
            const auto s = p * (32 / kShape.sub) + sub;
            const float step = scale * static_cast<float>(block.scales[s]);
            const float less = min * static_cast<float>(block.mins[s]);
            sums[lane] += static_cast<float>(dot) * (step * x_scales[at]);
            if (kShape.has_min) sums[lane] -= less * (x_scales[at] * static_cast<float>(sum));
          }
        }
      }
    }
  });
}

}  // namespace

void matmul_shifted(const MatmulArgs& args) {
  for_each_panel(args, [&](int64_t row, int64_t panel, float* sums) {
    const float* x = static_cast<const float*>(args.x) + row * args.x_stride;
    const float* w = static_cast<const float*>(args.w) + panel * kPanel;
    for (int64_t i = 0; i < args.n_in; ++i) {
      for (int64_t j = 0; j < kPanel; ++j) sums[j] += x[i] * w[args.w_at[i] + j];
    }
  });
}

MatmulTable matmuls() {
  MatmulTable table;
  table[DType::kF32] = matmul_f32;
  table[DType::kF16] = matmul_f16;
  table[DType::kBF16] = matmul_bf16;
  table[DType::kQ8_0] = matmul_blocks<DType::kQ8_0>;
  table[DType::kQ4_0] = matmul_blocks<DType::kQ4_0>;
  table[DType::kQ4_1] = matmul_blocks<DType::kQ4_1>;
  table[DType::kQ5_0] = matmul_blocks<DType::kQ5_0>;
  table[DType::kQ5_1] = matmul_blocks<DType::kQ5_1>;
  table[DType::kQ2_K] = matmul_blocks<DType::kQ2_K>;
  table[DType::kQ3_K] = matmul_blocks<DType::kQ3_K>;
  table[DType::kQ4_K] = matmul_blocks<DType::kQ4_K>;
  table[DType::kQ5_K] = matmul_blocks<DType::kQ5_K>;
  table[DType::kQ6_K] = matmul_blocks<DType::kQ6_K>;
  table[DType::kIQ4_NL] = matmul_blocks<DType::kIQ4_NL>;
  table[DType::kIQ2_XXS] = matmul_blocks<DType::kIQ2_XXS>;
  return table;
}

}  // namespace volant::generic
