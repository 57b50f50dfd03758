// Plain C++ kernels: what each op means. The other tables are tested against these.
#pragma once
#include "kernels/kernels.h"

namespace volant::generic {
MatmulTable matmuls();
void matmul_shifted(const MatmulArgs& args);
void to_bf16(const float* x, int64_t n, uint16_t* out);
void quantize_q8(const float* x, int64_t n, int8_t* out, float* scales, int32_t* sums);
void rms_norm(const float* x, const float* weight, int64_t n, float eps, float offset, float* out);
void layer_norm(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out);
void gelu_mul(const float* gate, const float* up, int64_t n, bool tanh, float* out);
void softcap(const float* x, int64_t n, float cap, float* out);
void scale(const float* x, int64_t n, float factor, float* out);
void silu_mul(const float* gate, const float* up, int64_t n, float* out);
void add(const float* a, const float* b, int64_t n, float* out);
void rope(const float* x, int64_t n_head, int64_t head_dim, int64_t n_turned, const float* cos,
          const float* sin, float* out);
void attention(const AttentionArgs& args);
int64_t argmax(const float* x, int64_t n);
float max(const float* x, int64_t n);
double exp_sum(const float* x, int64_t n, float max, float scale, float* out);
}  // namespace volant::generic
