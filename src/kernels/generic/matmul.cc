// Products with packed weights, one panel and one row at a time.
#include <algorithm>
#include <cstring>

#include "kernels/generic/generic.h"
#include "tensor/dtype.h"

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

}  // namespace

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

void matmul_q8_0(const MatmulArgs& args) {
  const int64_t n_block = args.n_in / kQ8Block;
  for_each_panel(args, [&](int64_t row, int64_t panel, float* sums) {
    const int8_t* x = static_cast<const int8_t*>(args.x) + row * args.x_stride;
    const uint8_t* w = static_cast<const uint8_t*>(args.w) + panel * kPanel * args.n_in;
    const uint16_t* scales = args.w_scales + panel * kPanel * n_block;
    for (int64_t b = 0; b < n_block; ++b) {
      const float x_scale = args.x_scales[row * (args.x_stride / kQ8Block) + b];
      for (int64_t j = 0; j < kPanel; ++j) {
        int32_t dot = 0;
        for (int64_t i = b * kQ8Block; i < (b + 1) * kQ8Block; ++i) {
          dot += x[i] * (w[(i / 4 * kPanel + j) * 4 + i % 4] - 128);
        }
        sums[j] += static_cast<float>(dot) * (f16_to_f32(scales[b * kPanel + j]) * x_scale);
      }
    }
  });
}

}  // namespace volant::generic
